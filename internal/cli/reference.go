package cli

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"tidegate/internal/config"
	"tidegate/internal/markdown"
)

//go:embed reference_top.md
var referenceTop string

// Reference returns docs/reference/cli.md.
func Reference() []byte {
	var out bytes.Buffer
	out.WriteString(referenceTop)
	for _, c := range commands() {
		fmt.Fprintf(&out, "| [`%s`](#tidegate-%s) | %s |\n", c.name, c.name, c.summary)
	}
	for _, c := range commands() {
		fmt.Fprintf(&out, "\n## tidegate %s\n\n", c.name)
		if c.manual == nil {
			writeServer(&out, c.name)
			continue
		}
		c.manual().write(&out)
	}
	return out.Bytes()
}

// writeServer writes the section of a command whose flags are settings.
func writeServer(out *bytes.Buffer, name string) {
	m := config.ManualOf(name)
	fmt.Fprintf(out, "```\n%s\n```\n\n%s\n%s\n", m.Usage, markdown.Wrap("", fmt.Sprintf("`tidegate %s` %s.", name, m.Summary)), markdown.Wrap("", m.About))
	out.WriteString("Flags: the settings that name this command on [the page of settings](configuration.md).\n")
	writeExamples(out, m.Examples)
}

func (m manual) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "```\n%s\n```\n\n%s", strings.Join(m.usage, "\n"), m.about)
	writeList(out, m.wordsAre, m.words)
	if m.flags != nil {
		out.WriteString("\n**Flags**\n\n")
		m.flags.VisitAll(func(f *pflag.Flag) { writeFlag(out, f) })
	}
	writeExamples(out, m.examples)
	writeList(out, "Exit codes", m.exits)
}

func writeList(out *bytes.Buffer, heading string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	fmt.Fprintf(out, "\n**%s**\n\n", heading)
	for _, e := range entries {
		out.WriteString(markdown.Wrap("- ", fmt.Sprintf("`%s`: %s", e.name, e.meaning)))
	}
}

func writeFlag(out *bytes.Buffer, f *pflag.Flag) {
	kind, usage := config.FlagText(f)
	text := fmt.Sprintf("`%s`: %s", strings.TrimSpace("--"+f.Name+" "+kind), usage)
	if def := config.ShownDefault(f); def != "" {
		text += fmt.Sprintf(" Default `%s`.", def)
	}
	out.WriteString(markdown.Wrap("- ", text+fmt.Sprintf(" Variable `%s`.", config.Variable(f.Name))))
}

func writeExamples(out *bytes.Buffer, examples []string) {
	if len(examples) > 0 {
		fmt.Fprintf(out, "\n**Examples**\n\n```\n%s\n```\n", strings.Join(examples, "\n"))
	}
}
