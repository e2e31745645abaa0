package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/judge"
	"tidegate/measure/reliability/record"
	"tidegate/measure/reliability/testbinary"
	"tidegate/measure/reliability/workload"
)

// The tests are short runs with a few kills. For more:
//
//	go test -C measure ./reliability/kill -kills 50
var kills = flag.Int("kills", 3, "how often the server is killed in each run")

var binary string

func TestMain(m *testing.M) {
	os.Exit(testbinary.With(&binary, func() int { return leftover.RunWithDescriptors(m) }))
}

// short returns the options of a run that takes a few seconds.
func short(t *testing.T, mode string, rounds int) options {
	t.Helper()
	dir := t.TempDir()
	o := options{
		deployment: harness.Defaults(), plan: harness.Plan{Rounds: rounds, Mean: time.Second, Down: time.Second},
		load: workload.Options{
			Dir: filepath.Join(dir, "records"), Publishers: 10, Topics: 20, Clients: 30, Rate: 500, Drop: 300 * time.Millisecond,
			Retry: 20 * time.Millisecond, Idle: 20 * time.Second, Settle: 20 * time.Second,
		},
	}
	o.deployment.Dir, o.deployment.Tidegate, o.deployment.Command, o.deployment.Memory = dir, binary, mode, rounds == 0
	return o
}

func TestAShortRunHasNoFaultsAndPlantedOnesAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode   string
		rounds int
	}{
		"serve":             {harness.Serve, *kills},
		"gateway":           {harness.Gateway, *kills},
		"gateway in memory": {harness.Gateway, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, mode := short(t, c.mode, c.rounds), c.mode
			var out strings.Builder
			if err := run(t.Context(), o, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			t.Log(out.String())
			plantAll(t, o.load.Dir, mode == harness.Gateway)
		})
	}
}

// TestAKillWithoutStorageIsAFault: a server that stores nothing fails the run, so a
// passing run means something.
func TestAKillWithoutStorageIsAFault(t *testing.T) {
	t.Parallel()
	o := short(t, harness.Gateway, max(3, *kills)) // on a busy machine, the first kill may come before the first client
	o.deployment.Memory, o.load.Settle = true, 2*time.Second
	var out strings.Builder
	if err := run(t.Context(), o, &out); !errors.Is(err, command.ErrFault) {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, fault := range []judge.Fault{judge.ResetsSeen, judge.DisconnectsMissing} {
		if !strings.Contains(out.String(), "FAULT "+fault.String()) {
			t.Errorf("no fault %q in the output:\n%s", fault, out.String())
		}
	}
}

// plantAll plants one fault after another into copies of a run without faults.
func plantAll(t *testing.T, dir string, callbacks bool) {
	t.Helper()
	plants := map[judge.Fault]func(t *testing.T, dir string){
		judge.Lost:       plantLoss,
		judge.Repeated:   plantRepeat,
		judge.Disordered: plantSwap,
	}
	if callbacks {
		plants[judge.DisconnectsMissing] = func(t *testing.T, dir string) { plantDisconnect(t, dir, 0) }
		plants[judge.DisconnectsDuplicated] = func(t *testing.T, dir string) { plantDisconnect(t, dir, 2) }
	}
	for fault, plant := range plants {
		spoilt := filepath.Join(t.TempDir(), "records")
		if err := os.CopyFS(spoilt, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		plant(t, spoilt)
		report, err := judge.Judge(spoilt, judge.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if report.Faults[fault] != 1 {
			t.Errorf("planted %s, found %v: %v", fault, report.Faults, report.Examples)
		}
	}
}

// lines reads all lines of a record.
func lines[T any](t *testing.T, path string, parse func([]byte) (T, error)) (all []T) {
	t.Helper()
	err := record.Read(path, parse, func(v T) error {
		all = append(all, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rewrite changes the lines of a file.
func rewrite(t *testing.T, path string, change func(lines []string) []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		all = append(all, in.Text())
	}
	if err := os.WriteFile(path, []byte(strings.Join(change(all), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// published returns all events by their global number.
func published(t *testing.T, dir string) map[uint64]record.Event {
	t.Helper()
	all := map[uint64]record.Event{}
	files, err := filepath.Glob(filepath.Join(dir, "publisher-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, e := range lines(t, file, record.ParseEvent) {
			all[e.Global] = e
		}
	}
	return all
}

// plantLoss deletes the last event of client 0.
func plantLoss(t *testing.T, dir string) {
	rewrite(t, record.ClientFile(dir, 0), func(lines []string) []string {
		i := lastShown(lines)
		return slices.Delete(lines, i, i+1)
	})
}

// plantRepeat repeats the last event of client 0.
func plantRepeat(t *testing.T, dir string) {
	rewrite(t, record.ClientFile(dir, 0), func(lines []string) []string {
		i := lastShown(lines)
		return slices.Insert(lines, i, lines[i])
	})
}

func lastShown(lines []string) int {
	i := len(lines) - 1
	for !strings.Contains(lines[i], `"k":"event"`) {
		i--
	}
	return i
}

// plantSwap swaps two events of a topic at a client, of which one was answered before
// the other was begun.
func plantSwap(t *testing.T, dir string) {
	events := published(t, dir)
	path := record.ClientFile(dir, 0)
	seen := lines(t, path, record.ParseObservation)
	for i := range seen {
		for j := i + 1; j < len(seen) && seen[i].Kind == record.Received; j++ {
			a, b := events[seen[i].Global], events[seen[j].Global]
			if seen[j].Kind == record.Received && a.Topic == b.Topic && a.Done != 0 && a.Done < b.Begin {
				rewrite(t, path, func(lines []string) []string {
					lines[i], lines[j] = lines[j], lines[i]
					return lines
				})
				return
			}
		}
	}
	t.Fatal("no two events can be swapped")
}

// plantDisconnect repeats or deletes the last disconnect of an accepted connect, so that
// the record has it times times.
func plantDisconnect(t *testing.T, dir string, times int) {
	path := record.CallbacksFile(dir)
	callbacks := lines(t, path, record.ParseCallback)
	i := len(callbacks) - 1
	for callbacks[i].Action != record.Disconnect || callbacks[i].Redelivered {
		i--
	}
	rewrite(t, path, func(lines []string) []string {
		return slices.Concat(lines[:i], slices.Repeat(lines[i:i+1], times), lines[i+1:])
	})
}
