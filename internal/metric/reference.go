package metric

import (
	"bytes"
	"fmt"
	"strings"
)

// Sections returns the whole list, in the order of the page.
func Sections() []*Section {
	return []*Section{streams, callbacks, events, backend, storage, ownLog, sharedLog, nodes, limits, process}
}

const referenceTop = `# Metrics

<!-- Generated from internal/metric by: go test ./internal/metric -run TestReference -update -->

For operators: every metric of Tidegate, what it counts, and when to look.

` + "`GET /metrics`" + ` on the internal listener answers in the text format of Prometheus. Give Prometheus a
` + "`--metrics-token`" + `: it opens this path and nothing else.

- Names ending in ` + "`_total`" + ` are counters: alert on ` + "`increase()`" + ` or ` + "`rate()`" + `. They start with 0 for all
  label values that are known in advance, so that ` + "`increase()`" + ` sees the first event too.
- Durations are in seconds, sizes in bytes.
- No label has a token, a topic, an address or a user.
- "Rises" means: since yesterday's normal. "Look when" names what needs a person, not what is rare.
`

// Reference returns docs/reference/metrics.md.
func Reference() []byte {
	var out bytes.Buffer
	out.WriteString(referenceTop)
	for _, s := range Sections() {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", s.Title, s.Where)
		for _, d := range s.Metrics {
			d.write(&out)
		}
	}
	return out.Bytes()
}

func (d *Def) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n### `%s`\n\n%s. %s\n", d.Name, strings.ToUpper(string(d.Kind[:1]))+string(d.Kind[1:]), d.Help)
	if len(d.Labels) > 0 {
		out.WriteString("\n")
	}
	for _, l := range d.Labels {
		fmt.Fprintf(out, "- `%s`: %s%s\n", l.Name, l.Meaning, l.valuesText())
	}
	if d.Alert != "" {
		fmt.Fprintf(out, "\n**Look when** %s.\n", d.Alert)
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
