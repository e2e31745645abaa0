// Package markdown helps the generated pages of the documentation to follow the form of the others.
package markdown

import (
	"strings"
	"unicode/utf8"
)

// Width is the longest line of prose on a page, in columns.
const Width = 100

// Wrap breaks text into lines of at most [Width] columns and ends it with a line feed. first begins
// the first line, such as "- "; further lines are indented by as many blanks. A word that is longer
// than a line stays whole.
func Wrap(first, text string) string {
	var b strings.Builder
	indent := strings.Repeat(" ", utf8.RuneCountInString(first))
	line, empty := first, true
	for word := range strings.FieldsSeq(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > Width {
			b.WriteString(line + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	return b.String() + line + "\n"
}
