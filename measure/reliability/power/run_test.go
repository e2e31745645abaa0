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

// noImage returns why this system cannot mount an image, or nil.
var noImage = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "tidegate-disk-")
	if err != nil {
		return err
	}
	d, err := newImageDisk(context.Background(), dir, 256)
	if err == nil {
		err = d.mount(context.Background())
	}
	return errors.Join(err, d.close(context.Background()), os.RemoveAll(dir))
})

// newTestDisk returns an empty disk: an image where the system allows it, else a folder.
func newTestDisk(t *testing.T) disk {
	t.Helper()
	var d disk = newSnapshotDisk(t.TempDir())
	if why := noImage(); why != nil {
		t.Logf("using a copy instead of a disk: %v", why)
	} else if own, err := newImageDisk(t.Context(), t.TempDir(), 256); err != nil {
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

// TestADiskLosesUnsyncedFiles: otherwise the tests below would pass in any case.
func TestADiskLosesUnsyncedFiles(t *testing.T) {
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
	if c, ok := d.(*snapshotDisk); ok {
		err = c.keep()
	}
	if err := errors.Join(err, os.WriteFile(late, []byte("it was not synced"), 0o600), d.cut(), d.restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(synced); err != nil {
		t.Errorf("the synced file: %v", err)
	}
	if _, err := os.Stat(late); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file that was not synced: %v, want none", err)
	}
}

// short returns the options of a run of some seconds, with an image where the system
// allows it.
func short(t *testing.T, mode, durability string) options {
	t.Helper()
	o := *defaults()
	o.tidegate, o.mode, o.durability, o.dir = binary, mode, durability, t.TempDir()
	o.rounds, o.pause, o.bound, o.publishers, o.topics, o.rate, o.size = 1, time.Second, 2*time.Second, 8, 10, 400, 256
	o.copy = noImage() != nil
	return o
}

func TestAnsweredEventsSurviveALossOfPower(t *testing.T) {
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

// TestALossIsFound: a server loses its last answered events, and the judge expects that
// none are lost.
func TestALossIsFound(t *testing.T) {
	t.Parallel()
	o := short(t, harness.Gateway, process)
	o.copy, o.rounds, o.bound = true, 0, 0
	var out strings.Builder
	if err := run(t.Context(), o, &out); !errors.Is(err, command.ErrFault) || !strings.Contains(out.String(), "and is lost") {
		t.Errorf("it returned %v and printed %s", err, out.String())
	}
}

func TestHistoryIsJudged(t *testing.T) {
	t.Parallel()
	const second = time.Second
	// Of four events the last is not answered; the power is lost after 5 s.
	for name, test := range map[string]struct {
		stored []int
		bound  time.Duration
		fault  string // a part of its text; "" for none
		lost   int
	}{
		"nothing is lost":               {stored: []int{0, 1, 2}},
		"an unanswered event is stored": {stored: []int{0, 1, 2, 3}},
		"the last may be lost":          {stored: []int{0, 1}, bound: 3 * second, lost: 1},
		"the last may not be lost":      {stored: []int{0, 1}, fault: "event 2 of topic 0 was answered 2s before the loss, and is lost", lost: 1},
		"one that is too old is lost":   {stored: []int{0}, bound: 3 * second, fault: "event 1 of topic 0 was answered 3.5s before", lost: 2},
		"one between others is lost":    {stored: []int{0, 2}, bound: 5 * second, fault: "before a stored one was sent", lost: 1},
		"one is stored twice":           {stored: []int{0, 1, 1, 2}, fault: "twice"},
		"two are swapped":               {stored: []int{0, 2, 1}, fault: "event 1 after 2"},
		"one was never published":       {stored: []int{0, 1, 2, 4}, fault: "not published"},
	} {
		b := newHistory(1)
		for i, done := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * second, 0} {
			b.events[0] = append(b.events[0], &event{number: i, begun: time.Duration(i) * second, done: done})
		}
		f := b.judge([][]int{test.stored}, loss{at: 5 * second, restarted: 6 * second}, test.bound)
		if test.fault == "" && len(f.faults) > 0 || !strings.Contains(strings.Join(f.faults, "; "), test.fault) {
			t.Errorf("%s: faults %q, want %q", name, f.faults, test.fault)
		}
		if f.lost != test.lost {
			t.Errorf("%s: %d lost, want %d", name, f.lost, test.lost)
		}
	}
}

func TestEventsAnsweredAfterTheRestartMustExist(t *testing.T) {
	t.Parallel()
	b := newHistory(1)
	b.events[0] = []*event{{begun: 4 * time.Second, done: 7 * time.Second}}
	f := b.judge([][]int{nil}, loss{at: 5 * time.Second, restarted: 6 * time.Second}, time.Minute)
	if len(f.faults) != 1 || !strings.Contains(f.faults[0], "after the restart") {
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
