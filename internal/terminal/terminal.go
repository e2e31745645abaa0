// Package terminal escapes text of others before it reaches a terminal. An event, a header or an
// error can hold escape sequences, which move the cursor, change the screen or set the clipboard.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Guard returns a writer that escapes text as [Escape] does if w is a terminal. Otherwise it returns
// w: a pipe or a file gets every byte unchanged.
func Guard(w io.Writer) io.Writer {
	if Is(w) {
		return NewWriter(w)
	}
	return w
}

// Escape replaces characters that control a terminal or change the order of others by escapes such as
// \u001b. Line feeds and tabs stay.
func Escape(text string) string {
	if !strings.ContainsFunc(text, harmful) {
		return text
	}
	return string(appendEscaped(nil, []byte(text)))
}

// Line is [Escape] for text that must stay on one line.
func Line(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", " ").Replace(Escape(text))
}

// harmful reports control characters (C0 and C1), invisible format characters such as the
// bidirectional ones, line separators of Unicode, and bytes that are not UTF-8. Joiners are allowed:
// scripts and emojis need them.
func harmful(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d', '\u00ad':
		return false
	case utf8.RuneError:
		return true
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false // visible
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

func appendEscaped(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, text[0])
		case r == utf8.RuneError || !harmful(r):
			dst = append(dst, text[:n]...)
		case r > 0xffff:
			// In the form of JSON, so that a line of JSON stays valid.
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
		text = text[n:]
	}
	return dst
}

// Writer escapes text that is written to it. It is as safe for concurrent use as the writer below,
// except for characters that are split between two writes.
type Writer struct {
	w    io.Writer
	rest []byte // the beginning of a character
}

// NewWriter returns a Writer that escapes for w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

func (w *Writer) Write(p []byte) (int, error) {
	text := p
	if len(w.rest) > 0 {
		text = append(w.rest, p...)
		w.rest = nil
	}
	if n := partial(text); n > 0 {
		w.rest = append([]byte(nil), text[len(text)-n:]...)
		text = text[:len(text)-n]
	}
	if _, err := w.w.Write(appendEscaped(make([]byte, 0, len(text)), text)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// partial returns how many bytes at the end of text begin an incomplete character.
func partial(text []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
