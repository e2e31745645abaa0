package segments

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

func TestAnEventExpiresAtItsAge(t *testing.T) {
	t.Parallel()
	v := eventView{at: 10, age: 5}
	for now, want := range map[int64]bool{10: false, 14: false, 15: true, 16: true} {
		if got := v.expired(now); got != want {
			t.Errorf("stored at 10 for 5, expired at %d: %t, want %t", now, got, want)
		}
	}
	if v.age = 0; v.expired(math.MaxInt64) {
		t.Error("an event without an age expires")
	}
}

// TestTheIndexFindsAllTopicsWhenSomeGo: the last one takes the place of one that goes.
func TestTheIndexFindsAllTopicsWhenSomeGo(t *testing.T) {
	t.Parallel()
	var x index
	x.init()
	for _, name := range []string{"a", "b", "c", "d"} {
		x.enter(name)
	}
	left := []string{"a", "b", "c", "d"}
	for _, gone := range []string{"a", "d", "b", "c"} { // one in front, one that had moved, the last ones
		x.remove(x.topics[gone])
		left = slices.DeleteFunc(left, func(name string) bool { return name == gone })
		var listed []string
		for i, topic := range x.order {
			if topic.at != i || x.topics[topic.name] != topic {
				t.Errorf("without %s: %s is at %d, and thinks it is at %d", gone, topic.name, i, topic.at)
			}
			listed = append(listed, topic.name)
		}
		if slices.Sort(listed); !slices.Equal(listed, left) || len(x.topics) != len(left) {
			t.Errorf("without %s: %q are listed and %d are found, want %q", gone, listed, len(x.topics), left)
		}
	}
}

// TestWhatCouldNotBeNotedIsNotedNext: in the order in which it came.
func TestWhatCouldNotBeNotedIsNotedNext(t *testing.T) {
	t.Parallel()
	first, second := control{kind: kindHole, from: 1, to: 2}, control{kind: kindHole, from: 3, to: 4}
	l := &Log{controls: []control{second}, trims: map[string]uint64{"a": 7, "b": 3}}
	l.restoreControls([]control{first}, map[string]uint64{"a": 5, "b": 9, "c": 1})
	controls, trims := l.takeControls()
	if !slices.Equal(controls, []control{first, second}) || trims["a"] != 7 || trims["b"] != 9 || trims["c"] != 1 {
		t.Errorf("noted next: %v and %v", controls, trims)
	}
}

// TestRoomIsGivenBack: what waits is bounded, what has been stored is not.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(o *Options) { o.MaxWaiting = 2 << 10 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 20 {
		if got := r.log.AppendAll(ctx, []topic.Entry{entry("a", strings.Repeat("x", 1<<10))})[0]; got.Err != nil {
			t.Fatalf("event %d of 1 KiB each: %v", i+1, got.Err)
		}
	}
}

// TestOnlyAnEventThatIsTooLargeIsRefused: neither those beside it, nor one of exactly the
// bound.
func TestOnlyAnEventThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	const most = 100
	r := start(t, t.TempDir(), func(o *Options) { o.MaxEvent = most })
	sized := func(n int) topic.Entry { return entry("a", strings.Repeat("x", n-len("a"))) }
	results := r.log.AppendAll(t.Context(), []topic.Entry{sized(most), sized(most + 1), sized(1)})
	if results[0].Err != nil || results[2].Err != nil {
		t.Errorf("events within the bound: %v, %v", results[0].Err, results[2].Err)
	}
	if e, ok := errors.AsType[*wire.Error](results[1].Err); !ok || e.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("an event of %d bytes, with a bound of %d: %v, want 413", most+1, most, results[1].Err)
	}
	if n := len(r.all("a")); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// TestAnotherEventAtAPlaceIsDamage: a whole record with a right sum, but not the one that
// was looked for.
func TestAnotherEventAtAPlaceIsDamage(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.add(entry("a", "1"), entry("a", "2"), entry("b", "3"))
	places := func(name string) []place {
		t.Helper()
		found, segs, err := r.log.lookUp(name, 1, math.MaxUint64)
		if err != nil {
			t.Fatal(err)
		}
		r.log.release(used(segs))
		return found
	}
	a, b := places("a"), places("b")
	r.log.mu.Lock()
	seg := r.log.segments.of(a[0])
	r.log.mu.Unlock()
	for what, c := range map[string]struct {
		place place
		off   uint32
		want  bool
	}{
		"itself":                 {a[0], a[0].off, true},
		"another of its topic":   {a[0], a[1].off, false},
		"one of another topic":   {a[1], b[0].off, false},
		"the middle of a record": {a[0], a[0].off + 1, false},
	} {
		var reading reader
		c.place.off = c.off
		if _, err := reading.event(seg, c.place, "a"); (err == nil) != c.want || err != nil && !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v, want an event: %t", what, err, c.want)
		}
	}
}

// TestEveryFlippedBitIsDamage, of a record in its segment: for who reads the event, and
// for who reads through the segment.
func TestEveryFlippedBitIsDamage(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.add(entry("a", "data"))
	found, segs, err := r.log.lookUp("a", 1, math.MaxUint64)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	defer r.log.release(used(segs))
	written := segs[found[0].seg]
	end := r.log.sizeOf(written)
	file, err := r.log.fs.OpenFile(written.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seg := &segment{path: written.path, file: file, salt: written.salt}
	read := func() error {
		var reading reader
		_, err := reading.event(seg, found[0], "a")
		return err
	}
	scan := func() (events int) {
		o := scanOptions{salt: seg.salt, from: int64(found[0].off), to: end}
		if err := scanFile(file, o, func(s scanned) error {
			if s.kind != 0 {
				events++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return events
	}
	if err, n := read(), scan(); err != nil || n != 1 {
		t.Fatalf("as it was written: %v, %d records", err, n)
	}
	for at := int64(found[0].off); at < end; at++ {
		var b [1]byte
		if _, err := file.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		for bit := range 8 {
			if _, err := file.WriteAt([]byte{b[0] ^ 1<<bit}, at); err != nil {
				t.Fatal(err)
			}
			if err, n := read(), scan(); !errors.Is(err, errDamaged) || n != 0 {
				t.Errorf("bit %d of byte %d: %v, %d records", bit, at-int64(found[0].off), err, n)
			}
		}
		if _, err := file.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheLogStaysWithinItsBound, but for what one group writes beyond the end of a
// segment. The newest events stay.
func TestTheLogStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	const most, size, event = 64 << 10, 4 << 10, 1 << 10
	r := start(t, t.TempDir(), func(o *Options) { o.MaxBytes, o.segmentSize = most, size })
	for i := range 3 * most / event {
		r.add(entry("a", strings.Repeat("x", event)))
		r.log.mu.Lock()
		bytes := r.log.segments.bytes()
		r.log.mu.Unlock()
		if bytes > most+2*event {
			t.Fatalf("%d bytes after %d events, with a bound of %d", bytes, i+1, most)
		}
	}
	if n := len(r.all("a")); n < most/event/2 || n > most/event {
		t.Errorf("%d events of %d bytes are left", n, event)
	}
}
