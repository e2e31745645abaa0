package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"tidegate/internal/config"
)

const referenceTop = `# Commands

<!-- Generated from internal/cli by: go test ./internal/cli -run TestReference -update -->

For everybody who starts Tidegate or calls it from a shell: every command, with its arguments, flags,
examples and exit codes.

` + "`tidegate COMMAND --help`" + ` shows the same. Every flag has an environment variable, and a flag beats it.
Flags and other arguments can be mixed; after ` + "`--`" + ` nothing is a flag. Durations are written ` + "`300ms`, `15s`, `1h30m`" + `,
sizes ` + "`1048576`, `512KiB` or `1MB`" + `.

All commands end with one of three exit codes:

| code | meaning |
| --- | --- |
| 0 | It is done. Help and an interrupt count as done. |
| 1 | It failed. Standard error says why, and what to do. |
| 2 | The call or the configuration has a mistake. Standard error names all mistakes. |

| command | what it does |
| --- | --- |
`

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
	fmt.Fprintf(out, "```\n%s\n```\n\n`tidegate %s` %s.\n\n%s\n\n", m.Usage, name, m.Summary, m.About)
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
		fmt.Fprintf(out, "- `%s`: %s\n", e.name, e.meaning)
	}
}

func writeFlag(out *bytes.Buffer, f *pflag.Flag) {
	kind, usage := config.FlagText(f)
	fmt.Fprintf(out, "- `%s`: %s", strings.TrimSpace("--"+f.Name+" "+kind), usage)
	if def := config.ShownDefault(f); def != "" {
		fmt.Fprintf(out, " Default `%s`.", def)
	}
	fmt.Fprintf(out, " Variable `%s`.\n", config.Variable(f.Name))
}

func writeExamples(out *bytes.Buffer, examples []string) {
	if len(examples) > 0 {
		fmt.Fprintf(out, "\n**Examples**\n\n```\n%s\n```\n", strings.Join(examples, "\n"))
	}
}
