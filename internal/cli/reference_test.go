package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"tidegate/internal/markdown/pagetest"
)

func TestReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	pagetest.Check(t, "cli.md", Reference())
}

// TestExamplesOfHelpParse: their flags exist, and are those of the command.
func TestExamplesOfHelpParse(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		if c.manual == nil {
			continue // config tests these
		}
		m := c.manual()
		for _, example := range m.examples {
			for part := range strings.SplitSeq(example, " | ") {
				words := strings.Fields(part)
				if !slices.Contains(words, "tidegate") {
					continue
				}
				if words[1] != c.name {
					t.Errorf("%s has an example of %s: %s", c.name, words[1], example)
				}
				for _, word := range words {
					if name, isFlag := strings.CutPrefix(word, "--"); isFlag && m.flags.Lookup(name) == nil {
						t.Errorf("%s has no --%s: %s", c.name, name, example)
					}
				}
			}
		}
	}
}

// TestHelpOfFlagsStandsAlone: each text says what its flag does without the one before.
func TestHelpOfFlagsStandsAlone(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		if c.manual == nil || c.manual().flags == nil {
			continue
		}
		c.manual().flags.VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			for _, word := range []string{"its ", "those", "such ", "the same", "whatever"} {
				if strings.Contains(" "+usage, " "+word) && !strings.Contains(usage, "such as") {
					t.Errorf("%s --%s: %q in %q", c.name, f.Name, word, usage)
				}
			}
		})
	}
}
