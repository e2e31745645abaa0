package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/testbinary"
)

var program string

func TestMain(m *testing.M) {
	os.Exit(testbinary.With(&program, func() int { return leftover.RunWithDescriptors(m) }))
}

// TestShortAttacks checks no figures: they are for people.
func TestShortAttacks(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			o := defaults()
			o.names, o.tidegate, o.dir, o.scale = []string{a.name}, program, t.TempDir(), 0.03
			o.baseline, o.attack, o.recover = 200*time.Millisecond, 1500*time.Millisecond, 2*time.Second
			var out strings.Builder
			if err := run(t.Context(), o, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			for _, want := range []string{"baseline", "attack", "at its peak", "as before", "PASS"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

// TestLossesAreFound: the judge finds planted faults.
func TestLossesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shown  []int
		faults int
	}{
		"no fault":                 {[]int{0, 1, 2}, 0},
		"a rejected event arrives": {[]int{0, 1, 7, 2}, 1}, // but before an event that was sent earlier
		"one is missing":           {[]int{0, 2}, 1},
		"one comes twice":          {[]int{0, 1, 1, 2}, 1},
		"two are swapped":          {[]int{1, 0, 2}, 1},
	} {
		s := &server{}
		h := &honest{server: s, answered: []int{0, 1, 2}, numbers: [][]int{{0, 1, 2}, c.shown}}
		if h.judge(); s.faults.count != c.faults {
			t.Errorf("%s: %d faults %q, want %d", name, s.faults.count, s.faults.examples, c.faults)
		}
	}
}

// TestALongWaitCountsForEachRequestThatItDelayed: otherwise a server that hangs for a
// second would look as if one of a hundred clients had waited.
func TestALongWaitCountsForEachRequestThatItDelayed(t *testing.T) {
	t.Parallel()
	var w latencies
	w.add(time.Millisecond, 10*time.Millisecond)
	w.add(100*time.Millisecond, 10*time.Millisecond)
	if len(w) != 11 || w[1] != 100*time.Millisecond || w[10] != 10*time.Millisecond {
		t.Errorf("latencies are %v", w)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	o := defaults()
	if err := o.validate(); err != nil || len(o.chosen()) != len(attacks) {
		t.Errorf("by default %d attacks, %v", len(o.chosen()), err)
	}
	o.names, o.scale, o.baseline = []string{"mute-connections", "none"}, 0, time.Millisecond
	err := o.validate()
	for _, want := range []string{`"none"`, "--scale", "--baseline"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no complaint about %s: %v", want, err)
		}
	}
	if all := o.chosen(); len(all) != 1 || all[0].name != "mute-connections" {
		t.Errorf("chosen %v", all)
	}
}
