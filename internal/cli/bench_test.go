package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tidegate/internal/bench"
	"tidegate/internal/config"
)

func TestBenchReportsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"speed"}, []string{`unknown mode "speed"`}},
		{[]string{"--runs", "x", "--evnts", "3", "--gap", "-1s"}, []string{"--runs", "did you mean --events?", "--gap -1s"}},
		{[]string{"idle", "--public", "http://127.0.0.1:1", "--burst", "0"}, []string{"go together", "--burst 0"}},
		{[]string{"--pid", "x"}, []string{"--pid"}},
		{[]string{"client", "http1"}, []string{`unknown mode "client"`}}, // it is not for people
	} {
		got := runCommand(t, "", append([]string{"bench"}, c.args...)...)
		for _, want := range c.want {
			if got.code != exitUsage || !strings.Contains(got.stderr, want) {
				t.Errorf("tidegate bench %q: exit code %d, stderr %q; want 2 and %q", c.args, got.code, got.stderr, want)
			}
		}
	}
}

func TestBenchHelpIsComplete(t *testing.T) {
	t.Parallel()
	got := runCommand(t, "", "bench", "--help")
	for _, m := range bench.Modes() {
		if !strings.Contains(got.stdout, "\n  "+m.Name+" ") || m.Summary == "" {
			t.Errorf("help does not explain mode %s", m.Name)
		}
	}
	known := append(config.ClientFlags(), "internal-secret")
	new(benchFlags).set().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(got.stdout, "  --"+f.Name+" ") && !strings.Contains(got.stdout, "  --"+f.Name+"\n") || f.Usage == "" {
			t.Errorf("help does not explain --%s", f.Name)
		}
		if !slices.Contains(known, f.Name) {
			t.Errorf("--%s has no variable that all commands know: it is not in config.ClientFlags", f.Name)
		}
	})
	if strings.Contains(got.stdout, "bench client") {
		t.Error("help shows the command of the client processes")
	}
}
