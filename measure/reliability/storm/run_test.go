package main

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/eventsource"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/record"
	"tidegate/measure/reliability/testbinary"
)

var storage = flag.Bool("storage", true, "run the server with --data")

var binary string

func TestMain(m *testing.M) {
	os.Exit(testbinary.With(&binary, func() int { return leftover.RunWithDescriptors(m) }))
}

func TestASmallStorm(t *testing.T) {
	t.Parallel()
	o := options{
		deployment: harness.Defaults(), clients: 60, behind: 250, topics: 7, listeners: 5, rate: 50,
		baseline: 300 * time.Millisecond, limit: time.Minute,
	}
	o.deployment.Command, o.deployment.Dir, o.deployment.Tidegate, o.deployment.Memory = harness.Gateway, t.TempDir(), binary, !*storage
	var out strings.Builder
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "PASS") {
		t.Errorf("printed %s", out.String())
	}
}

// TestAFollowerFindsFaults: one event too few, too many, or in the wrong place.
func TestAFollowerFindsFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		numbers []int
		faults  int
		caught  bool
	}{
		"no fault":        {[]int{1, 2, 3}, 0, true},
		"one is missing":  {[]int{1, 3}, 1, false},
		"one comes twice": {[]int{1, 2, 2, 3}, 2, true},
		"two are swapped": {[]int{2, 1, 3}, 2, true},
	} {
		s := &storm{opts: options{behind: 3}}
		caught := false
		c := &follower{storm: s, next: 1, caughtUp: func() { caught = true }}
		for _, n := range test.numbers {
			c.event(eventsource.Block{Data: record.Body{Global: uint64(n) + 1, Number: n}.Text(40), HasData: true})
		}
		if s.faultCount != test.faults || caught != test.caught {
			t.Errorf("%s: %d faults %v, caught up %v; want %d, %v", name, s.faultCount, s.faults, caught, test.faults, test.caught)
		}
	}
	s := &storm{opts: options{behind: 3}}
	c := &follower{storm: s, next: 2}
	c.event(eventsource.Block{Name: "reset", HasData: true})
	if s.resets != 1 || c.next != 0 {
		t.Errorf("after a reset: %d resets, next event %d", s.resets, c.next)
	}
}

func TestOpenFilesAreCounted(t *testing.T) {
	t.Parallel()
	if err := enoughFiles(10); err != nil {
		t.Error(err)
	}
	if err := enoughFiles(1 << 40); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("too many clients: %v", err)
	}
}
