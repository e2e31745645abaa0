package config_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"tidegate/internal/config"
)

// FuzzFile holds that a file is refused with an *Error that can be shown, or gives a configuration that
// Print writes so that it is the same when it is loaded again.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"", "~", "heartbeat: 5s\n", "heartbeat: [", "heartbeat: 5\nheartbaet: 6s\n", "? {a: b}\n: c\n",
		"listen: :80\ninternal-listen: shared\ninternal-secret: s\ncors-origin: ['*', https://a]\nreplace: true\n",
		"namespace: {chat: {events: 5, age: 1h}, '*': {bytes: 2MiB}, task: {replay: none}}\n", "namespace: [chat=events:5, 'a=age:0']\n",
		"callback-url: http://h/@me?secret=x&y\nfrontend-version-url: 'http://h/#'\n", "checksum-root: [., /]\n", "checksum-root: ''\n",
		"a: &a {x: *a}\n", "<<: {a: b}\n", "heartbeat: !!binary aGVsbG8=\n", "tls-cert: /dev/null\ntls-key: /dev/null\n", "heartbeat: 1s\n---\n",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "fuzz.yaml")
		cfg, err := loadText(t, path, text)
		if err != nil {
			checkError(t, err)
			return
		}
		var out bytes.Buffer
		if err := cfg.Print(&out); err != nil {
			t.Fatalf("Print: %v", err)
		}
		// What is hidden is put back, as whoever uses a printed file has to.
		restored := hiddenLine.ReplaceAll(out.Bytes(), nil)
		again, err := loadText(t, path, restored, secrets(cfg, out.String())...)
		if err != nil {
			t.Fatalf("load what was printed: %v\n%s", err, out.String())
		}
		if diff := cmp.Diff(cfg, again, ignoreOrigins); diff != "" {
			t.Errorf("printed and loaded again (-want +got):\n%s\nof\n%s", diff, out.String())
		}
	})
}

var hiddenLine = regexp.MustCompile(`(?m)^(internal-secret|callback-secret|api-token|metrics-token|access-secret|callback-url|frontend-version-url|gateway-url): .*<set>.*\n`)

// secrets are the flags for what Print has hidden.
func secrets(cfg *config.Config, printed string) []string {
	values := map[string][]string{
		"internal-secret": cfg.InternalSecrets, "callback-secret": cfg.CallbackSecrets, "api-token": cfg.APITokens, "metrics-token": cfg.MetricsTokens,
		"access-secret": cfg.AccessSecrets, "callback-url": {cfg.CallbackURL}, "frontend-version-url": {cfg.FrontendVersionURL}, "gateway-url": {cfg.GatewayURL},
	}
	var args []string
	for _, hidden := range hiddenLine.FindAllStringSubmatch(printed, -1) {
		for _, value := range values[hidden[1]] {
			args = append(args, "--"+hidden[1]+"="+value)
		}
	}
	return args
}

func loadText(t *testing.T, path string, text []byte, args ...string) (*config.Config, error) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load("config", append(args, "--config", path), nil, io.Discard)
	return cfg, err
}

// checkError fails unless err is an *Error whose every problem is one printable line.
func checkError(t *testing.T, err error) {
	t.Helper()
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok || len(wrong.Problems) == 0 {
		t.Fatalf("error is %T %v, want *config.Error", err, err)
	}
	for _, p := range wrong.Problems {
		if text := p.Error(); strings.ContainsAny(text, "\n\r\x1b\x00") || !utf8.ValidString(text) || p.Source == "" || p.Reason == "" {
			t.Errorf("problem %q", text)
		}
	}
}

// FuzzFlags holds that Load takes any arguments, and that Parse agrees with pflag where pflag finds no error.
func FuzzFlags(f *testing.F) {
	for _, args := range []string{
		"", "--heartbeat\n5s", "--heartbeat=5s\nword", "--heartbeat", "--help", "-h", "-x", "--", "--\n--x", "---", "--=", "-", "-=",
		"-jn5", "-jn\n5", "-n=5", "-n=", "-j=\n", "-j=true", "--json\nfalse", "--json=false", "--limit\n--json", "--namespace\na=events:5,age:1h", "-\xff", "---\xbd",
	} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\n")
		if !strings.Contains(joined, "config") { // which would read whatever file is named
			if _, _, err := config.Load("gateway", args, nil, io.Discard); err != nil && !errors.Is(err, config.ErrHelp) {
				checkError(t, err)
			}
		}

		theirs, ours := newClientSet(), newClientSet()
		theirs.fs.SetOutput(io.Discard)
		theirs.fs.Usage = func() {}
		errTheirs := theirs.fs.Parse(args)
		words, err := config.Parse(ours.fs, "listen", args, nil)
		switch {
		case errTheirs != nil && err == nil:
			t.Fatalf("Parse(%q) accepts what pflag refuses: %v", args, errTheirs)
		case err != nil && !errors.Is(err, config.ErrHelp):
			checkError(t, err)
		case err == nil:
			theirs.fs, ours.fs = nil, nil
			if diff := cmp.Diff(theirs, ours, cmp.AllowUnexported(clientSet{})); diff != "" {
				t.Errorf("Parse(%q) (-pflag +got):\n%s", args, diff)
			}
			if want := pflagWords(args); !slices.Equal(want, words) {
				t.Errorf("Parse(%q) = %q, pflag %q", args, words, want)
			}
		}
	})
}

// pflagWords is what pflag takes for arguments that are no flags.
func pflagWords(args []string) []string {
	fs := newClientSet().fs
	fs.SetOutput(io.Discard)
	if err := fs.ParseAll(args, func(*pflag.Flag, string) error { return nil }); err != nil {
		return nil
	}
	return fs.Args()
}

// FuzzSize holds that what a size is written as is read as the same size.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"0", "1048576", "1MiB", "512 kib", "1MB", "-1", "9223372036854775807", "8388608TiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var n, again config.ByteSize
		if n.Set(text) != nil {
			return
		}
		if n < 0 {
			t.Errorf("%q is %d bytes", text, n)
		}
		if err := again.Set(n.String()); err != nil || again != n {
			t.Errorf("%q is written %q, which is %d, %v", text, n, again, err)
		}
	})
}
