package stream

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

func TestHeartbeatsOfParkedStreamsComeAfterSilence(t *testing.T) {
	t.Parallel()
	const every = 15 * time.Second
	onFake(t, Options{Heartbeat: every}, func(t *testing.T, r *rig) {
		p, one := r.park(plenty), event("data: 1\n\n", Live)
		want := ""
		for range 50 {
			time.Sleep(every / 2)
			p.takesAll(one)
			want += chunked(one)
		}
		p.open(want)
		for range 20 {
			begun, before := time.Now(), len(want)
			want += chunked(Item{heartbeat, Control})
			for p.length() == before {
				time.Sleep(step)
				waitIdle()
			}
			if took := time.Since(begun); took < every*3/4 || took > every {
				t.Errorf("a heartbeat after %v, want 3/4 of %v at least and never later", took, every)
			}
			p.open(want)
		}
	})
}

// length is how much the client has.
func (c *socket) length() int {
	got, _ := c.text()
	return len(got)
}

// TestHeartbeatsAreSpread: streams that were written to together do not beat
// together.
func TestHeartbeatsAreSpread(t *testing.T) {
	t.Parallel()
	const every, streams = 10 * time.Second, 3 * pageStreams
	onFake(t, Options{Heartbeat: every}, func(t *testing.T, r *rig) {
		var all []*parked
		for range streams {
			all = append(all, r.park(plenty))
		}
		beaten := make([]bool, streams)
		steps, most, sum := 0, 0, 0
		for range every / step {
			time.Sleep(step)
			waitIdle()
			now := 0
			for i, p := range all {
				if !beaten[i] && p.length() > 0 {
					beaten[i] = true
					now++
				}
			}
			if now > 0 {
				steps++
			}
			most = max(most, now)
			sum += now
		}
		if want := int(r.opts.round() / step); sum != streams || steps < want*9/10 || most > 2*streams/want {
			t.Errorf("%d of %d streams beat, at %d times, up to %d at once; want about %d times", sum, streams, steps, most, want)
		}
	})
}

// TestHeartbeatsDoNotPileUp: a socket that refuses gets no more than one.
func TestHeartbeatsDoNotPileUp(t *testing.T) {
	t.Parallel()
	onFake(t, Options{Heartbeat: time.Second, WriteTimeout: time.Minute}, func(t *testing.T, r *rig) {
		p := r.park(0)
		time.Sleep(30 * time.Second)
		p.open("")
		p.takes(plenty)
		p.open(chunked(Item{heartbeat, Control}))
	})
}

func TestASocketThatRefusesForTheWriteTimeoutEndsItsStream(t *testing.T) {
	t.Parallel()
	const timeout = 30 * time.Second
	onFake(t, Options{WriteTimeout: timeout}, func(t *testing.T, r *rig) {
		slow := r.opts.round() + 2*step
		one := event("data: "+strings.Repeat("x", 100)+"\n\n", Direct)
		p := r.park(10)
		p.takesAll(one)
		// It takes little, but goes on taking.
		for i := range 5 {
			time.Sleep(timeout - time.Second)
			p.open(chunked(one)[:10+i])
			p.takes(1)
		}
		waitIdle()
		time.Sleep(timeout - time.Second)
		p.open(chunked(one)[:15])
		time.Sleep(time.Second + slow)
		p.over(endSlow, chunked(one)[:15])
		if n := p.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want 1", n)
		}

		// Also one that only has to end, or to beat.
		p = r.park(0)
		p.end(nil)
		time.Sleep(timeout + slow)
		p.over(endClosed, "")
		p = r.park(0)
		time.Sleep(r.opts.Heartbeat + timeout + slow)
		p.over(endSlow, "")
	})
}

func TestAParkedStreamEndsAtItsAge(t *testing.T) {
	t.Parallel()
	const age = time.Minute
	onFake(t, Options{MaxAge: age, WriteTimeout: time.Hour}, func(t *testing.T, r *rig) {
		old, young, refusing := r.make(plenty), r.make(plenty), r.make(0)
		old.parkAt(old.socket.fd, nil, age)
		young.parkAt(young.socket.fd, nil, 3*age)
		refusing.parkAt(refusing.socket.fd, nil, age)
		one := event("data: 1\n\n", Direct)
		refusing.takesAll(one)
		time.Sleep(age * 9 / 10)
		old.open("")
		time.Sleep(age/10 + r.opts.round())
		old.over(endAge, string(terminator))
		young.open("")
		refusing.takes(plenty)
		refusing.over(endAge, chunked(one)+string(terminator))
		time.Sleep(2*age + r.opts.round())
		young.over(endAge, string(terminator))
	})
}

// TestTheClockGoesRound: milliseconds are counted in 32 bits, which are over
// after seven weeks.
func TestTheClockGoesRound(t *testing.T) {
	t.Parallel()
	e := newEngine(Options{})
	e.startedAt = time.Now().Add(-(1<<32 - 100) * time.Millisecond)
	before := e.now()
	e.startedAt = e.startedAt.Add(-200 * time.Millisecond)
	if got := e.since(before); got < 200*time.Millisecond || got > time.Minute {
		t.Errorf("since = %v, want 200ms", got)
	}
	e.startedAt = time.Now().Add(-(1 << 32) * time.Millisecond)
	if e.now() == 0 {
		t.Error("now is 0, which means never")
	}
}

// TestAnAgeMayBeAYear, which is more than milliseconds in 32 bits can tell, and
// whatever the engine's own age is. A short one keeps its precision.
func TestAnAgeMayBeAYear(t *testing.T) {
	t.Parallel()
	const unit = expiryUnit * time.Millisecond
	for _, running := range []time.Duration{0, 20 * day, 49*day + 17*time.Hour, 700 * day, 5000 * day} {
		for _, tt := range []struct{ age, counts time.Duration }{
			{time.Second, time.Second},
			{3 * time.Second, 3 * time.Second},
			{24 * day, 24 * day},
			{25 * day, 25 * day},
			{300 * day, 300 * day},
			{365 * day, 365 * day},
			{9999 * day, maxAge},
		} {
			synctest.Test(t, func(t *testing.T) {
				e := NewEngine(Options{MaxAge: tt.age, NoParking: true})
				e.startedAt = time.Now().Add(-running)
				var s Stream
				s.Init(e, nil)
				s.begin(nil, nil, tt.age)
				s.state &^= writing
				s.mu.Unlock()
				ends := tt.counts - e.opts.round()
				for _, at := range []time.Duration{0, ends / 4, ends / 2, ends * 3 / 4, ends - time.Millisecond} {
					if s.endsWhenLookedAt(at) {
						t.Fatalf("after %v a stream that may be %v old ends at %v", running, tt.age, at)
					}
				}
				if !s.endsWhenLookedAt(ends + unit) {
					t.Errorf("after %v a stream that may be %v old goes on at %v", running, tt.age, ends+unit)
				}
			})
		}
	}
}

// endsWhenLookedAt has the clock come by at an age.
func (s *Stream) endsWhenLookedAt(age time.Duration) bool {
	s.engine.coarse.Store(s.engine.elapsed() + age.Milliseconds())
	s.check(NewBatch().Hold(), math.MaxInt64)
	_, ends := s.Ending()
	return ends
}

// TestWhatTicksMeasureIsBounded: longer than three weeks would be taken for over.
func TestWhatTicksMeasureIsBounded(t *testing.T) {
	t.Parallel()
	o := NewEngine(Options{Heartbeat: 30 * day, WriteTimeout: 30 * day, NoParking: true}).opts
	if o.Heartbeat != maxSpan || o.WriteTimeout != maxSpan {
		t.Errorf("heartbeat %v, write timeout %v, want %v at most", o.Heartbeat, o.WriteTimeout, maxSpan)
	}
}

func TestTheRoundIsAPartOfWhatItWatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opts Options
		want time.Duration
	}{
		{Options{Heartbeat: 15 * time.Second, WriteTimeout: 30 * time.Second}, 1875 * time.Millisecond},
		{Options{Heartbeat: day, WriteTimeout: day}, maxRound},
		{Options{Heartbeat: day, WriteTimeout: 4 * time.Second}, 500 * time.Millisecond},
		{Options{Heartbeat: time.Millisecond, WriteTimeout: day}, minRound},
	} {
		if got := tt.opts.round(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.opts, got, tt.want)
		}
	}
	o := Options{Heartbeat: day, WriteTimeout: day, MaxAge: time.Minute}
	if got := o.round(); got > o.MaxAge/16 {
		t.Errorf("round %v of a largest age of %v", got, o.MaxAge)
	}
}
