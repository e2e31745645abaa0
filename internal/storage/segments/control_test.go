package segments

import (
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/topic"
)

// TestATrimOutlivesTheRewriteOfItsRecord: the record stands in a segment that is written
// anew, and what was trimmed in one that is not.
func TestATrimOutlivesTheRewriteOfItsRecord(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(o *Options) { o.segmentSize = 8 << 10; o.maintain = time.Hour })
	text := strings.Repeat("x", 500)
	for i := range 5 {
		r.add(entry("trimmed", fmt.Sprint(i)), entry("stays", text), entry("stays", text))
	}
	for r.log.Stats().Segments < 2 {
		r.add(entry("goes", text))
	}
	r.log.Trim("trimmed", 2)
	for range 40 { // the first one with the trim
		r.add(entry("goes", text))
	}
	r.log.Trim("goes", 1)
	r.add(entry("stays", text))
	waitFor(t, func() bool {
		r.log.poke()
		return r.log.Stats().Rewritten > 0
	})
	for range 3 {
		if got := len(r.all("trimmed")); got != 2 {
			t.Fatalf("%d events, want 2: what was trimmed is back", got)
		}
		r.reopen()
	}
}

// TestAnEmptySegmentKeepsItsFile: if the first write to a new segment fails, the next segment
// begins at the same position. It must not take the file of the other.
func TestAnEmptySegmentKeepsItsFile(t *testing.T) {
	t.Parallel()
	files := &faultFS{}
	r := start(t, t.TempDir(), func(o *Options) { o.FS = files; o.maintain = time.Hour })
	for range 2 { // a control record that cannot be written
		files.set(func(_ int, op, _ string) fault {
			if op == "write" {
				return fault{err: syscall.ENOSPC}
			}
			return fault{}
		})
		r.log.note(control{kind: kindPad})
		r.log.writeControls()
		files.set(nil)
	}
	r.add(entry("a", "1"), entry("a", "2"))
	r.log.dropEmpty()
	r.add(entry("a", "3"))
	names := make(map[string]bool)
	for _, s := range r.log.segments.list {
		if names[s.path] {
			t.Errorf("two segments have the file %s", s.path)
		}
		if names[s.path] = true; !isFile(s.path) {
			t.Errorf("the file of a segment is gone: %s", s.path)
		}
	}
	r.reopen()
	if got := len(r.all("a")); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestTheNewestEventIsTheOneThatHasNotExpired: one that lives longer may stand below.
func TestTheNewestEventIsTheOneThatHasNotExpired(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := start(t, t.TempDir(), func(o *Options) { o.now = func() time.Time { return now }; o.maintain = time.Hour })
	aged := entry("a", "2")
	aged.Age = time.Minute
	r.add(topic.Entry{Topic: "a", Delete: true}, aged, aged)
	now = now.Add(time.Hour)
	if e, ok, err := r.log.Last(t.Context(), "a"); err != nil || !ok || !e.Delete {
		t.Errorf("Last = %+v, %v, %v; want the deletion", e, ok, err)
	}
}

// TestTrimsBesideAppends: a trim comes while control records are being written, which nobody
// locks.
func TestTrimsBesideAppends(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(o *Options) { o.maintain = time.Hour })
	r.add(entry("a", "1"), entry("a", "2"), entry("a", "3"))
	for range 2 {
		r.log.mu.Lock()
		controls, trims := r.log.takeControls()
		r.log.mu.Unlock()
		before := len(trims)
		r.log.Trim("a", len(r.all("a"))-1)
		if len(trims) != before {
			t.Error("a trim changes what is being written")
		}
		r.log.mu.Lock()
		r.log.restoreControls(controls, trims)
		r.log.mu.Unlock()
	}
	r.reopen()
	if got := len(r.all("a")); got != 1 {
		t.Errorf("%d events, want the newest", got)
	}
}

// TestADeletionThatFailedDeletesNothing: its record is on the disk, for it could not be
// taken back, and it was not answered.
func TestADeletionThatFailedDeletesNothing(t *testing.T) {
	t.Parallel()
	files := &faultFS{}
	r := start(t, t.TempDir(), func(o *Options) { o.FS, o.Power, o.maintain = files, true, time.Hour })
	r.add(entry("a", "1"), entry("a", "2"))
	files.set(func(_ int, op, _ string) fault {
		if op == "sync" || op == "truncate" {
			return fault{err: syscall.EIO}
		}
		return fault{}
	})
	if res := r.log.AppendAll(t.Context(), []topic.Entry{{Topic: "a", Delete: true}})[0]; res.Err == nil {
		t.Fatal("a deletion was answered that is not on the disk")
	}
	files.set(nil)
	r.add(entry("a", "3"))
	want := r.texts("a")
	for range 2 {
		r.reopen()
		if got := r.texts("a"); got != want {
			t.Errorf("after a start there is %q, and before there was %q", got, want)
		}
	}
}

// TestWhatIsAppendedDuringAReadIsNoDamage: the reader has read ahead what was not
// written then.
func TestWhatIsAppendedDuringAReadIsNoDamage(t *testing.T) {
	t.Parallel()
	for _, power := range []bool{false, true} {
		r := start(t, t.TempDir(), func(o *Options) { o.Power = power })
		r.add(entry("a", "1"), entry("a", "2"))
		given := 0
		err := r.log.Read(t.Context(), "a", 1, math.MaxUint64, func(topic.Stored) error {
			if given++; given < 20 {
				r.add(entry("a", fmt.Sprint(given)))
			}
			return nil
		})
		if err != nil || given < 3 {
			t.Errorf("power %v: %d events, %v", power, given, err)
		}
		if s := r.log.Stats(); s.Damaged > 0 || r.log.Lost("a") > 0 {
			t.Errorf("power %v: %d places are damaged, and events up to %d are lost", power, s.Damaged, r.log.Lost("a"))
		}
		if got := len(r.all("a")); got != 21 {
			t.Errorf("power %v: %d events, want 21", power, got)
		}
	}
}
