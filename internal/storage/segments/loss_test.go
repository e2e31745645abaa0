package segments

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWhatIsAnsweredIsOnTheDiskSoon, where no append waits for it: that is what a loss of
// power may take.
func TestWhatIsAnsweredIsOnTheDiskSoon(t *testing.T) {
	t.Parallel()
	synced := make(chan struct{}, 100)
	files := &faultFS{}
	files.fail(func(op, name string) error {
		if op == "sync" && strings.HasSuffix(name, segmentSuffix) {
			select {
			case synced <- struct{}{}:
			default:
			}
		}
		return nil
	})
	r := start(t, t.TempDir(), func(o *Options) { o.FS, o.sync = files, time.Millisecond })
	for range 3 {
		for len(synced) > 0 {
			<-synced
		}
		r.add(entry("a", "x"))
		<-synced
	}
}

// TestTheHeadIsOnTheDisk: without it all ids would end with the power.
func TestTheHeadIsOnTheDisk(t *testing.T) {
	t.Parallel()
	files, synced := &faultFS{}, map[string]bool{}
	files.fail(func(op, name string) error {
		synced[op+" "+filepath.Base(name)] = true
		return nil
	})
	dir := t.TempDir()
	l, err := Open(t.Context(), Options{Dir: dir, FS: files, Power: true})
	if err != nil {
		t.Fatal(err)
	}
	if !synced["sync "+headName] || !synced["syncdir "+filepath.Base(dir)] {
		t.Errorf("synced %v", synced)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheEndThatThePowerTookIsNoDamage: all ids end, so nobody misses it unknowingly. Its
// positions are not given out again.
func TestTheEndThatThePowerTookIsNoDamage(t *testing.T) {
	t.Parallel()
	for _, garbage := range []string{"", "\xe7half of a record"} {
		dir := t.TempDir()
		r := start(t, dir)
		r.add(entry("a", "1"), entry("a", "2"))
		kept, err := os.Stat(segmentPath(dir, segmentName(1)))
		if err != nil {
			t.Fatal(err)
		}
		r.add(entry("a", "3"), entry("b", "4"))
		generation := r.log.Generation()
		r.stop()
		// The head is on the disk, and the events are not.
		text, err := os.ReadFile(segmentPath(dir, segmentName(1)))
		if err == nil {
			err = os.WriteFile(segmentPath(dir, segmentName(1)), append(text[:kept.Size()], garbage...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.opts.Redraw = true
		r.open()
		if s := r.log.Stats(); s.Holes > 0 || s.Damaged > 0 || r.log.Generation() == generation {
			t.Errorf("stats %+v, generation %s, was %s", s, r.log.Generation(), generation)
		}
		if seq := r.add(entry("a", "5"))[0]; seq != 5 {
			t.Errorf("the next position is %d, want 5", seq)
		}
		r.opts.Redraw = false
		r.reopen()
		if got := r.texts("a"); got != "1<0:1 2<1:2 5<2:5 " {
			t.Errorf("topic a: %s", got)
		}
		r.stop()
		if report, err := Check(t.Context(), Options{Dir: dir}); err != nil || report.Damaged() {
			t.Errorf("report %+v, %v", report, err)
		}
	}
}

// TestX39AStartOnAFullDisk, with and without a new generation: the log is read, and
// written when there is room.
func TestX39AStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, redraw := range []bool{false, true} {
		files := &faultFS{}
		r := start(t, t.TempDir(), func(o *Options) { o.FS = files })
		r.add(entry("a", "1"))
		if err := r.log.roll(); err != nil {
			t.Fatal(err)
		}
		r.stop()
		if err := os.Truncate(segmentPath(r.opts.Dir, segmentName(2)), 10); err != nil { // the disk was full then
			t.Fatal(err)
		}
		var full error = syscall.ENOSPC
		files.fail(func(op, name string) error {
			grows := op == "allocate" || strings.HasSuffix(name, newSuffix) || strings.HasSuffix(name, segmentSuffix)
			if op == "write" && grows || op == "allocate" {
				return full
			}
			return nil
		})
		generation := r.log.Generation()
		r.opts.Redraw = redraw
		r.open()
		if anew := r.log.Generation() != generation; anew != redraw {
			t.Errorf("redraw %v: generation %s, was %s", redraw, r.log.Generation(), generation)
		}
		generation = r.log.Generation()
		if len(r.log.Health()) == 0 {
			t.Error("the log passes for healthy")
		}
		if got := r.texts("a"); got != "1<0:1 " {
			t.Errorf("topic a: %s", got)
		}
		files.set(nil)
		r.add(entry("a", "2"))
		r.opts.Redraw = false
		r.reopen()
		if got := len(r.all("a")); got != 2 || r.log.Generation() != generation {
			t.Errorf("redraw %v: %d events, generation %s, want %s", redraw, got, r.log.Generation(), generation)
		}
		r.stop()
	}
}
