package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/testbinary"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(testbinary.With(&binary, func() int { return leftover.RunWithDescriptors(m) }))
}

// noImage tells why there can be no image here; nil if there can.
var noImage = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "tidegate-disk-")
	if err != nil {
		return err
	}
	d, err := newImage(context.Background(), dir, 256)
	if err == nil {
		err = d.mount(context.Background())
	}
	return errors.Join(err, d.close(context.Background()), os.RemoveAll(dir))
})

// newTestDisk makes an empty disk: an image where that can be had, else a folder.
func newTestDisk(t *testing.T) disk {
	t.Helper()
	var d disk = newCopied(t.TempDir())
	if why := noImage(); why != nil {
		t.Logf("a copy stands for a disk: %v", why)
	} else if own, err := newImage(t.Context(), t.TempDir(), 256); err != nil {
		t.Error(err)
	} else {
		d = own
	}
	t.Cleanup(func() {
		if err := d.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := d.mount(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestADiskForgetsWhatWasNotSynced: else all that follows would hold anyway.
func TestADiskForgetsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	d := newTestDisk(t)
	synced, late := filepath.Join(d.folder(), "synced"), filepath.Join(d.folder(), "late")
	file, err := os.Create(synced)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if c, ok := d.(*copied); ok {
		err = c.keep()
	}
	if err := errors.Join(err, os.WriteFile(late, []byte("it was not synced"), 0o600), d.cut(), d.restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(synced); err != nil {
		t.Errorf("what was synced: %v", err)
	}
	if _, err := os.Stat(late); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was not synced: %v, want that it is gone", err)
	}
}

// short is a run of some seconds, on a disk of its own where that can be had.
func short(t *testing.T, mode, durability string) options {
	t.Helper()
	o := *defaults()
	o.tidegate, o.mode, o.durability, o.dir = binary, mode, durability, t.TempDir()
	o.rounds, o.pause, o.bound, o.publishers, o.topics, o.rate, o.size = 1, time.Second, 2*time.Second, 8, 10, 400, 256
	o.copy = noImage() != nil
	return o
}

func TestWhatWasAnsweredSurvivesALossOfPower(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode, durability string
		copy             bool
	}{
		{harness.Gateway, power, false},
		{harness.Serve, process, false},
		{harness.Gateway, process, true},
	} {
		t.Run(test.mode+" "+test.durability, func(t *testing.T) {
			t.Parallel()
			o := short(t, test.mode, test.durability)
			o.copy = o.copy || test.copy
			var out strings.Builder
			if err := run(t.Context(), o, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), "PASS") {
				t.Errorf("it printed %s", out.String())
			}
		})
	}
}

// TestALossIsSeen has a server lose what was answered last, and judges it as if
// it had promised to lose nothing.
func TestALossIsSeen(t *testing.T) {
	t.Parallel()
	o := short(t, harness.Gateway, process)
	o.copy, o.rounds, o.bound = true, 0, 0
	var out strings.Builder
	if err := run(t.Context(), o, &out); !errors.Is(err, command.ErrFault) || !strings.Contains(out.String(), "and is gone") {
		t.Errorf("it returned %v and printed %s", err, out.String())
	}
}

func TestTheBookIsJudged(t *testing.T) {
	t.Parallel()
	const second = time.Second
	// Of four events the last is not answered; the power is lost after 5 s.
	for name, test := range map[string]struct {
		has   []int
		bound time.Duration
		fault string // a part of it; "" for none
		lost  int
	}{
		"nothing is gone":               {has: []int{0, 1, 2}},
		"what nobody was answered came": {has: []int{0, 1, 2, 3}},
		"the last may be gone":          {has: []int{0, 1}, bound: 3 * second, lost: 1},
		"the last may not be gone":      {has: []int{0, 1}, fault: "event 2 of topic 0 was answered 2s before the loss, and is gone", lost: 1},
		"one is gone that is too old":   {has: []int{0}, bound: 3 * second, fault: "event 1 of topic 0 was answered 3.5s before", lost: 2},
		"one is gone amid others":       {has: []int{0, 2}, bound: 5 * second, fault: "before another was sent which is there", lost: 1},
		"one is there twice":            {has: []int{0, 1, 1, 2}, fault: "twice"},
		"two are swapped":               {has: []int{0, 2, 1}, fault: "event 1 after 2"},
		"one was never published":       {has: []int{0, 1, 2, 4}, fault: "not published"},
	} {
		b := newBook(1)
		for i, done := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * second, 0} {
			b.events[0] = append(b.events[0], &event{number: i, begun: time.Duration(i) * second, done: done})
		}
		f := b.judge([][]int{test.has}, loss{at: 5 * second, back: 6 * second}, test.bound)
		if test.fault == "" && len(f.faults) > 0 || !strings.Contains(strings.Join(f.faults, "; "), test.fault) {
			t.Errorf("%s: faults %q, want %q", name, f.faults, test.fault)
		}
		if f.lost != test.lost {
			t.Errorf("%s: %d lost, want %d", name, f.lost, test.lost)
		}
	}
}

func TestWhatWasAnsweredAfterwardsMayNotBeGone(t *testing.T) {
	t.Parallel()
	b := newBook(1)
	b.events[0] = []*event{{begun: 4 * time.Second, done: 7 * time.Second}}
	f := b.judge([][]int{nil}, loss{at: 5 * time.Second, back: 6 * time.Second}, time.Minute)
	if len(f.faults) != 1 || !strings.Contains(f.faults[0], "after the server was back") {
		t.Errorf("faults %q", f.faults)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	o := defaults()
	if err := o.validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	o.mode, o.durability, o.rate, o.topics = "cluster", "none", 0, 0
	err := o.validate()
	for _, flag := range []string{"--mode", "--durability", "--rate", "--topics"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("a wrong %s: %v", flag, err)
		}
	}
}
