package metric

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"tidegate/internal/markdown"
)

// Sections returns the whole list, in the order of the page.
func Sections() []*Section {
	return []*Section{streams, callbacks, events, backend, storage, ownLog, sharedLog, nodes, limits, process}
}

//go:embed reference_top.md
var referenceTop string

// Reference returns docs/reference/metrics.md.
func Reference() []byte {
	var out bytes.Buffer
	out.WriteString(referenceTop)
	for _, s := range Sections() {
		fmt.Fprintf(&out, "\n## %s\n\n%s", s.Title, markdown.Wrap("", s.Where))
		for _, d := range s.Metrics {
			d.write(&out)
		}
	}
	return out.Bytes()
}

func (d *Def) write(out *bytes.Buffer) {
	kind := strings.ToUpper(string(d.Kind[:1])) + string(d.Kind[1:])
	fmt.Fprintf(out, "\n### `%s`\n\n%s", d.Name, markdown.Wrap("", kind+". "+d.Help))
	if len(d.Labels) > 0 {
		out.WriteString("\n")
	}
	for _, l := range d.Labels {
		out.WriteString(markdown.Wrap("- ", fmt.Sprintf("`%s`: %s%s", l.Name, l.Meaning, l.valuesText())))
	}
	if d.Alert != "" {
		out.WriteString("\n" + markdown.Wrap("", "**Look when** "+d.Alert+"."))
	}
}

// maxListed is how many values the page lists. Longer lists have a page of their own.
const maxListed = 10

func (l Label) valuesText() string {
	if len(l.Values) == 0 || len(l.Values) > maxListed {
		return "."
	}
	quoted := make([]string, 0, len(l.Values))
	for _, v := range l.Values {
		if v != "" {
			quoted = append(quoted, "`"+v+"`")
		}
	}
	text := ": " + strings.Join(quoted, ", ")
	if l.Open {
		text += ", and others when they occur"
	}
	return text + "."
}
