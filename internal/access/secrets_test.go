package access_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/access"
)

const (
	one   = "0123456789abcdef-one"
	two   = "0123456789abcdef-two"
	three = "0123456789abcdef-three"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsOfFlagsAndFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets")
	write(t, path, "\ufeff\r\n "+two+" \r\n\n"+three)
	s, err := access.NewSecrets(one, "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Any() || s.First() != one || len(s.All()) != 3 {
		t.Errorf("any %v, first %q, all %d; want true, the one of the flag, 3", s.Any(), s.First(), len(s.All()))
	}
	for header, want := range map[string]bool{
		"Bearer " + one: true, "bearer  " + two: true, "BEARER " + three: true,
		"": false, "Bearer": false, "Bearer ": false, one: false, "Basic " + one: false, "Bearer " + one + "x": false, "Bearer " + one[1:]: false,
		"Bearer " + one + " ": false, "Bearer file:" + path: false,
	} {
		if got := s.Bearer([]byte(header)); got != want {
			t.Errorf("Bearer(%q) = %v, want %v", header, got, want)
		}
	}
}

func TestNoSecretsMatchNothing(t *testing.T) {
	t.Parallel()
	none, err := access.NewSecrets()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*access.Secrets{nil, none} {
		if s.Any() || s.Match(nil) || s.Bearer([]byte("Bearer ")) || s.First() != "" || s.Reload() != nil {
			t.Error("without secrets something matches")
		}
	}
}

func TestX04BadSecretsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "\n \n", "short": one + "\nshort\n", "blank": "two words of a secret", "large": strings.Repeat(one+"\n", 10_000)} {
		write(t, filepath.Join(dir, name), text)
	}
	for setting, want := range map[string]string{
		"":                       "shorter than 16",
		"x":                      "shorter than 16",
		"0123456789abcde":        "shorter than 16",
		"0123456789 abcdef":      "visible ASCII",
		"0123456789abcdéfghij":   "visible ASCII",
		"file:":                  "no such file",
		"file:" + dir:            "directory",
		"file:/dev/zero":         "no regular file",
		"file:" + dir + "/no":    "no such file",
		"file:" + dir + "/empty": "no secret",
		"file:" + dir + "/short": "line 2",
		"file:" + dir + "/blank": "line 1",
		"file:" + dir + "/large": "64 KiB",
	} {
		if _, err := access.NewSecrets(one, setting); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewSecrets(%q) = %v, want an error with %q", setting, err, want)
		}
	}
}

func TestReloadKeepsTheOldOnesOnFailure(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secrets")
	write(t, path, one)
	s, err := access.NewSecrets("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "short")
	if s.Reload() == nil || !s.Match([]byte(one)) {
		t.Error("a broken file was loaded")
	}
	write(t, path, two+"\n")
	if err := s.Reload(); err != nil || s.Match([]byte(one)) || !s.Match([]byte(two)) {
		t.Errorf("Reload() = %v; the new secret counts: %v, want true; the old one: %v, want false", err, s.Match([]byte(two)), s.Match([]byte(one)))
	}
}

func TestMatchingMakesNoGarbage(t *testing.T) {
	s, err := access.NewSecrets(one, two)
	if err != nil {
		t.Fatal(err)
	}
	header := []byte("Bearer " + two)
	if n := testing.AllocsPerRun(100, func() {
		if !s.Bearer(header) {
			t.Fatal("not known")
		}
	}); n > 0 {
		t.Errorf("%v allocations for a request, want none", n)
	}
}
