package task

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
)

func newOutbox() *outbox {
	return &outbox{id: "id", maxEvents: 100, maxBytes: 1000, total: new(atomic.Int64)}
}

// log publishes all that is in an outbox and returns what it was.
func (o *outbox) log() (names []string) {
	o.claim(func() {})
	for {
		batch, end := o.take(3, 1000, false)
		if end != notEnded {
			return names
		}
		for _, it := range batch {
			names = append(names, it.Key+" "+string(it.Data))
		}
		o.done(len(batch))
	}
}

func named(k kind, name string) item { return item{kind: k, Event: Event{Data: []byte(name)}} }

func TestOutboxHasTheFirstEventOnce(t *testing.T) {
	t.Parallel()
	started, end := named(kindStarted, "started"), []item{named(kindEnd, "end"), named(kindClose, "close")}
	for _, c := range []struct {
		fill func(o *outbox)
		want []string
	}{
		{func(o *outbox) { o.begin(1, []item{started}); o.seal(&started, end) }, []string{"id:started started", "id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(&started, end) }, []string{"id:started started", "id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(nil, end) }, []string{"id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(nil, nil) }, nil},
	} {
		o := newOutbox()
		c.fill(o)
		if got := o.log(); !slices.Equal(got, c.want) {
			t.Errorf("log is %q, want %q", got, c.want)
		}
		if n := o.total.Load(); n != 0 || o.bytes != 0 {
			t.Errorf("empty outbox holds %d bytes, %d in all", o.bytes, n)
		}
		if !o.idleForGood() {
			t.Error("the outbox is not complete")
		}
	}
}

func TestOutboxDoesNotRepeatALogThatIsNotOver(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(1, []item{named(kindStarted, "started")})
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() before the end = %v, want ErrNotFound", err)
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if _, err := o.repeat([]item{named(kindEnd, "end")}); err != nil {
		t.Errorf("repeat() = %v", err)
	}
	if got, want := o.log(), []string{"id:started started", "id:end end", "id:r1 end"}; !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

func TestDroppedOutboxTakesNothing(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(1, []item{named(kindStarted, "started")})
	if o.drop() {
		t.Error("drop() says that a pump is at work")
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if got := o.log(); len(got) != 0 || o.total.Load() != 0 {
		t.Errorf("log is %q, %d bytes are held; want nothing", got, o.total.Load())
	}
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() = %v, want ErrNotFound", err)
	}
}

// TestPumpOfALostTaskReportsThatItIsDeleted, if that comes while it is at work.
func TestPumpOfALostTaskReportsThatItIsDeleted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(o *outbox) bool
		want pumpEnd
	}{
		"lost":              {func(o *outbox) bool { o.lose(); return true }, endIdle},
		"deleted":           {func(o *outbox) bool { return o.drop() }, endDropped},
		"lost, and deleted": {func(o *outbox) bool { o.lose(); return o.drop() }, endDropped},
		"deleted, and lost": {func(o *outbox) bool { defer o.lose(); return o.drop() }, endDropped},
	} {
		o := newOutbox()
		o.begin(1, []item{named(kindStarted, "started")})
		if !o.claim(func() {}) {
			t.Fatal("there is a pump already")
		}
		if !tt.do(o) {
			t.Errorf("%s: no pump is at work", name)
		}
		if _, got := o.take(1, 1, false); got != tt.want {
			t.Errorf("%s: the pump ends with %v, want %v", name, got, tt.want)
		}
	}
}
