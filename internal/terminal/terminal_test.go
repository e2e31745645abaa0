package terminal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tidegate/internal/terminal"
)

func TestX09NothingThatSteersATerminalPasses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain, ü, 日本, 👩\u200d🚀\n\tnext": "plain, ü, 日本, 👩\u200d🚀\n\tnext",
		"\x1b[31mred\x1b]0;title\x07":    `\u001b[31mred\u001b]0;title\u0007`,
		"\r\b\x00\x7f":                   `\u000d\u0008\u0000\u007f`,
		"\u009b31m \u0085":               `\u009b31m \u0085`,
		"\x9b31m \xff":                   `\x9b31m \xff`, // C1 as a byte
		"a\u202eb\u2066c\u200fd\u061ce":  `a\u202eb\u2066c\u200fd\u061ce`,
		"a\u2028b\u2029c\ufeffd\u200be":  `a\u2028b\u2029c\ufeffd\u200be`,
		"tag \U000e0041":                 `tag \udb40\udc41`,
		"\ufffd":                         "\ufffd",
		"":                               "",
	} {
		if got := terminal.Escape(text); got != want {
			t.Errorf("Escape(%q) = %q, want %q", text, got, want)
		}
	}
	if got := terminal.Line("a\nb\tc\x1b"); got != `a\nb c\u001b` {
		t.Errorf("Line = %q", got)
	}
}

// TestX09AWriterTakesAnyPieces: characters may be split between writes.
func TestX09AWriterTakesAnyPieces(t *testing.T) {
	t.Parallel()
	const text = "ü\x1b[0m日\u202e👩\xff\u009b\n"
	for size := 1; size < len(text); size++ {
		var out bytes.Buffer
		w := terminal.NewWriter(&out)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if got, err := w.Write([]byte(rest[:n])); got != n || err != nil {
				t.Fatalf("Write = %d, %v", got, err)
			}
			rest = rest[n:]
		}
		if want := terminal.Escape(text); out.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), want)
		}
	}
}

func TestX09AJSONLineStaysOne(t *testing.T) {
	t.Parallel()
	const text = "\x1b\u009b\u202e\U000e0041\x7f\u2028"
	line, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal([]byte(terminal.Escape(string(line))), &back); err != nil || back != text {
		t.Errorf("%q came back as %q, %v", text, back, err)
	}
}

// TestX09APipeGetsEverythingAsItIs.
func TestX09APipeGetsEverythingAsItIs(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull) // a device, and yet no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if terminal.Guard(w) != w || terminal.Guard(null) != null || terminal.Is(&bytes.Buffer{}) {
		t.Error("a pipe, a device or a buffer is taken for a terminal")
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := terminal.Escape(text)
		if !utf8.ValidString(got) {
			t.Errorf("Escape(%q) = %q is no UTF-8", text, got)
		}
		bad := func(r rune) bool {
			return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
		}
		if strings.ContainsFunc(got, bad) {
			t.Errorf("Escape(%q) = %q", text, got)
		}
		if terminal.Escape(got) != got {
			t.Errorf("what is escaped changes again: %q", got)
		}
	})
}
