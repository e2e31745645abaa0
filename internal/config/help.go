package config

import (
	"fmt"
	"io"
	"strings"
)

// helpWidth is the longest line of help, in runes.
const helpWidth = 96

// Usage writes the complete help of a command that [Load] knows.
func Usage(cmd string, w io.Writer) error {
	c := lookUp(cmd)
	var p paragraphs
	fmt.Fprintf(&p, "tidegate %s %s.\n\n", c.name, c.summary)
	for line := range strings.Lines(c.about) {
		p.WriteString(line)
	}
	fmt.Fprintf(&p, "\n\nUsage: %s\n", c.usage())
	for _, g := range new(Config).bind(cmd) {
		p.group(g, c.set)
	}
	p.WriteString("\nExamples:\n")
	for _, e := range c.examples {
		p.WriteString("  " + e + "\n")
	}
	p.WriteString("\n" + sources + "\n\n" + exits + "\n")
	_, err := io.WriteString(w, p.String())
	return err
}

const sources = `A flag beats its environment variable, that beats the key of the same name in the file of --config,
and that beats the default. Several values of one variable are separated by ";".`

const exits = `Exit codes: 0 after a clean stop; 2 for a mistake in the configuration; 1 for anything else.`

// paragraphs is the text of help while it is written.
type paragraphs struct{ strings.Builder }

// group writes the settings of one heading that the commands have.
func (p *paragraphs) group(g group, cmds commands) {
	titled := false
	for _, s := range g.settings {
		if s.cmds&cmds == 0 {
			continue
		}
		if !titled {
			p.WriteString("\n" + g.title + ":\n")
			titled = true
		}
		kind := s.value.Type()
		if _, many := s.value.(repeatable); many {
			kind += "…"
		}
		usage := Sentence(s.usage)
		if !s.obvious() {
			usage += " Value: " + s.value.Allowed() + "."
		}
		p.flag("--"+s.name, kind, usage, s.shownDefault(), envName(s.name))
	}
}

// flag writes one flag: a line with its name, then what it does in an indented paragraph.
func (p *paragraphs) flag(name, kind, usage, def, env string) {
	p.WriteString("  " + strings.TrimSpace(name+" "+kind) + "\n")
	facts := env
	if def != "" {
		facts = "default " + def + ", " + env
	}
	p.wrap(strings.ReplaceAll(usage, "`", "") + " [" + facts + "]")
}

// wrap writes text in indented lines.
func (p *paragraphs) wrap(text string) {
	const indent = "      "
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len([]rune(line))+len([]rune(word)) >= helpWidth && line != indent {
			p.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	p.WriteString(strings.TrimRight(line, " ") + "\n")
}

// obvious reports whether the placeholder says already what the setting takes.
func (s setting) obvious() bool {
	kind := s.value.Type()
	return kind == "" || kind == "FILE" || strings.Contains(kind, "|")
}

// shownDefault is the default as help shows it, "" for none.
func (s setting) shownDefault() string {
	switch text := s.value.String(); {
	case s.name == "namespace":
		return "" // three entries: the reference page has them
	case text == "false":
		return ""
	default:
		return text
	}
}
