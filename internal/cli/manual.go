package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"tidegate/internal/config"
)

// manual describes a command. --help and docs/reference/cli.md are made from it.
type manual struct {
	usage    []string // the ways to call it
	about    string   // paragraphs, wrapped
	words    []entry  // what its arguments can be
	wordsAre string   // the heading of words
	flags    *pflag.FlagSet
	examples []string
	exits    []entry // exit codes and when
}

// entry is a line of a list: a word and what it means.
type entry struct{ name, meaning string }

// help writes the manual as --help shows it, and returns [config.ErrHelp].
func (m manual) help(w io.Writer) error {
	var b strings.Builder
	for i, usage := range m.usage {
		b.WriteString([]string{"Usage: ", "       "}[min(i, 1)] + usage + "\n")
	}
	b.WriteString("\n" + m.about)
	m.list(&b, m.wordsAre, m.words)
	if m.flags != nil {
		b.WriteString("\nFlags:\n")
		if err := config.FlagUsage(m.flags, &b); err != nil {
			return err
		}
	}
	if len(m.examples) > 0 {
		b.WriteString("\nExamples:\n  " + strings.Join(m.examples, "\n  ") + "\n")
	}
	m.list(&b, "Exit codes", m.exits)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return config.ErrHelp
}

func (m manual) list(b *strings.Builder, heading string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	width := 0
	for _, e := range entries {
		width = max(width, len(e.name))
	}
	fmt.Fprintf(b, "\n%s:\n", heading)
	for _, e := range entries {
		fmt.Fprintf(b, "  %-*s  %s\n", width, e.name, e.meaning)
	}
}

// isHelp reports whether the arguments of a command without flags ask for help.
func isHelp(args []string) bool {
	return len(args) > 0 && (args[0] == "--help" || args[0] == "-h")
}
