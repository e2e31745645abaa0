package nats

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/storage/natstest"
)

// crash ends an engine as far as a process that is killed does: what is written
// stays, but nothing more is said about it.
func crash(t *testing.T, e *Engine) {
	t.Helper()
	e.nc.Close()
	e.embedded.stop()
	if err := e.folder.lock.Close(); err != nil {
		t.Fatal(err)
	}
	e.close = func() {}
}

func TestAFolderInUseIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := openWith(t, Options{Dir: dir})
	_, err := Open(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use by another process (pid ") {
		t.Errorf("error %v", err)
	}
	e.Close()
	openWith(t, Options{Dir: dir})
}

// TestALockEndsWithItsProcess has another process hold it.
func TestALockEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if held := os.Getenv("TIDETEST_HOLD"); held != "" {
		if _, err := takeLock(held); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is killed
		return
	}
	holder := exec.Command(os.Args[0], "-test.run=^TestALockEndsWithItsProcess$")
	holder.Env = append(os.Environ(), "TIDETEST_HOLD="+dir)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
		t.Error("two processes have the folder")
	}
	_ = holder.Process.Kill()
	_ = holder.Wait()
	openWith(t, Options{Dir: dir})
}

// TestTheGenerationChangesWhenEventsMayBeLost runs lives of a folder, each on a
// kernel of its own choice.
func TestTheGenerationChangesWhenEventsMayBeLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second         string // kernels
		clean                 bool
		durability, afterward Durability
		changes               bool
	}{
		"killed":                              {first: "a", second: "a"},
		"stopped, machine restarted":          {first: "a", second: "b", clean: true},
		"power failure":                       {first: "a", second: "b", changes: true},
		"power failure, durable":              {first: "a", second: "b", durability: DurabilityPower},
		"power failure, durable since":        {first: "a", second: "b", afterward: DurabilityPower, changes: true},
		"power failure, not durable any more": {first: "a", second: "b", durability: DurabilityPower, afterward: DurabilityProcess},
		"killed, kernel unknown":              {changes: true},
		"stopped, kernel unknown":             {clean: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			live := func(kernel string, d Durability) *Engine {
				return openWith(t, Options{Dir: dir, Needs: NeedLog, Durability: d, bootID: func() string { return kernel }})
			}
			e := live(c.first, c.durability)
			before := e.Generation()
			if c.clean {
				e.Close()
			} else {
				crash(t, e)
			}
			e = live(c.second, c.afterward)
			after := e.Generation()
			if changed := before != after; changed != c.changes {
				t.Errorf("generation %q, then %q; want a change: %v", before, after, c.changes)
			}
			crash(t, e)
			if e = live(c.second, c.afterward); c.second != "" && e.Generation() != after {
				t.Errorf("generation %q, and %q in the life after", after, e.Generation())
			}
		})
	}
}

// TestAChangeOfGenerationIsNotForgotten by a process that ends before it can.
func TestAChangeOfGenerationIsNotForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	live := func(kernel string, needs Need) *Engine {
		return openWith(t, Options{Dir: dir, Needs: needs, bootID: func() string { return kernel }})
	}
	e := live("a", NeedLog)
	before := e.Generation()
	crash(t, e)
	live("b", 0).Close()     // lives and ends well, without the log
	crash(t, live("b", 0))   // ends badly
	e = live("b", NeedNodes) // needs something else
	if e.Generation() != "" {
		t.Errorf("generation %q of a log that was not opened", e.Generation())
	}
	if _, err := e.EventStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e.Generation() == before {
		t.Error("the generation is still the same")
	}
	after := e.Generation()
	e.Close()
	if e = live("b", NeedLog); e.Generation() != after {
		t.Errorf("generation %q, then %q", after, e.Generation())
	}
}

func TestARecordThatCannotBeReadCountsAsALoss(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"empty":   func(path string) error { return os.Truncate(path, 0) },
	} {
		dir := t.TempDir()
		e := openWith(t, Options{Dir: dir, Needs: NeedLog})
		before := e.Generation()
		e.Close()
		if err := damage(filepath.Join(dir, "boot.json")); err != nil {
			t.Fatal(err)
		}
		if e = openWith(t, Options{Dir: dir, Needs: NeedLog}); e.Generation() == before {
			t.Errorf("%s: the generation is still the same", name)
		}
	}
}

func TestAStopIsNotCalledCleanIfSyncingFailed(t *testing.T) {
	t.Parallel()
	dir, broken := t.TempDir(), errors.New("disk is broken")
	live := func(kernel string, sync func(string) error) (*Engine, error) {
		ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
		defer cancel()
		return Open(ctx, Options{Dir: dir, Needs: NeedLog, Log: natstest.Log(t), sync: sync, bootID: func() string { return kernel }})
	}
	e, err := live("a", syncAll)
	if err != nil {
		t.Fatal(err)
	}
	before := e.Generation()
	e.folder.sync = func(string) error { return broken }
	e.Close()
	if _, err := live("b", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Open = %v, want that the change of generation was not synced", err)
	}
	e, err = live("b", syncAll)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Generation() == before {
		t.Error("the generation is still the same")
	}
	if e.needsGeneration() {
		t.Error("it would be drawn again")
	}
}

func TestTheKernelHasABootID(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/sys/kernel/random/boot_id"); err == nil && len(kernelBootID()) != 36 {
		t.Errorf("boot id %q", kernelBootID())
	}
}

// TestX39AStartOnAFullDisk: after a kill there is nothing to write, and after a stop in
// order the record is written where it stands. What asks for room is a link to
// /dev/full.
func TestX39AStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(*testing.T, *Engine){"killed": crash, "stopped": func(_ *testing.T, e *Engine) { e.Close() }} {
		dir := t.TempDir()
		end(t, openWith(t, Options{Dir: dir}))
		before, err := readRecord(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", recordPath(dir)+".new"); err != nil {
			t.Fatal(err)
		}
		full := func(string) (space, error) { return space{free: 0, total: 100 << 20}, nil }
		e := openWith(t, Options{Dir: dir, space: full})
		if health := e.Health(); len(health) == 0 || e.Writable() == nil {
			t.Errorf("%s: health %v, writable %v", what, health, e.Writable())
		}
		want := before
		want.Clean = false
		if record, err := readRecord(dir); err != nil || record != want {
			t.Errorf("%s: record %+v, %v; want %+v", what, record, err, want)
		}
		crash(t, e)
	}
}

// TestARecordThatWasWrittenInPart counts as one of a process that lost something.
func TestARecordThatWasWrittenInPart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openWith(t, Options{Dir: dir}).Close()
	text, err := os.ReadFile(recordPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recordPath(dir), append(text[:len(text)/2], make([]byte, len(text)/2)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if record, err := readRecord(dir); err != nil || !record.mayHaveLost("boot") {
		t.Errorf("record %+v, %v", record, err)
	}
}
