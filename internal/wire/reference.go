package wire

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"tidegate/internal/markdown"
)

//go:embed reference_top.md
var referenceTop string

//go:embed reference_reasons.md
var reasonsTop string

// Reference returns docs/reference/errors.md.
func Reference() []byte {
	var out bytes.Buffer
	out.WriteString(referenceTop)
	for _, c := range codeTable {
		fmt.Fprintf(&out, "| [`%s`](#%s) | %s | %s |\n", c.Code, strings.ToLower(string(c.Code)), c.Status, c.Where)
	}
	for _, c := range codeTable {
		fmt.Fprintf(&out, "\n### `%s`\n\n%s\n%s", c.Code, markdown.Wrap("", c.Meaning), markdown.Wrap("", "**What to do:** "+c.Do))
	}
	out.WriteString(reasonsTop)
	for _, e := range endingTable {
		name := "`" + string(e.Reason) + "`"
		if e.Detail != DetailNone {
			name += ", `" + string(e.Detail) + "`"
		}
		fmt.Fprintf(&out, "\n### %s\n\n%s\n%s", name, markdown.Wrap("", e.When), markdown.Wrap("", "**What follows:** "+e.Next))
	}
	return out.Bytes()
}
