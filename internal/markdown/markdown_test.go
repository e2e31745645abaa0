package markdown_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tidegate/internal/markdown"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 120)
	for _, tt := range []struct{ first, text, want string }{
		{"", "", "\n"},
		{"", "a  b\nc", "a b c\n"},
		{"- ", strings.Repeat("word ", 20) + "end", "- " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n  word end\n"},
		{"- ", "a " + long + " b", "- a\n  " + long + "\n  b\n"},
		{"", strings.Repeat("ü", 50) + " " + strings.Repeat("ü", 49), strings.Repeat("ü", 50) + " " + strings.Repeat("ü", 49) + "\n"},
	} {
		if got := markdown.Wrap(tt.first, tt.text); got != tt.want {
			t.Errorf("Wrap(%q, %q) = %q, want %q", tt.first, tt.text, got, tt.want)
		}
	}
}

func TestWrapKeepsEveryWord(t *testing.T) {
	t.Parallel()
	text := "The gateway retries a disconnect callback with backoff, `--callback-retention` at most, and says so in the log once a minute."
	got := markdown.Wrap("- ", text)
	if words := strings.Join(strings.Fields(strings.TrimPrefix(got, "- ")), " "); words != text {
		t.Errorf("the words are %q, want %q", words, text)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > markdown.Width {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
}
