package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// world is an engine, its streams, and chance.
type world struct {
	*testing.T
	*rig
	rand    *rand.Rand
	streams []*model
	made    int
	held    *Batch // what has been pushed and not flushed
	log     []string
}

// longest is how much time passes at once.
const longest = 3 * time.Second

// TestTheEngineDoesAsTheModel does things at random and compares what comes of
// them with a model that knows no sockets, batches or goroutines.
func TestTheEngineDoesAsTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opts := Options{MaxPending: 4000, WriteTimeout: 10 * time.Second, Heartbeat: 4 * time.Second, MaxAge: 30 * time.Second}
			onFake(t, opts, func(t *testing.T, r *rig) {
				w := &world{T: t, rig: r, rand: rand.New(rand.NewPCG(seed, 0))}
				for range 4 {
					w.begin()
				}
				for range 100 {
					w.step()
					if t.Failed() {
						t.Fatalf("after:\n%s", strings.Join(w.log, "\n"))
					}
				}
				w.conclude()
			})
		})
	}
}

func (w *world) notef(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// begin adds a stream, on a socket that may be full or hung up already.
func (w *world) begin() {
	m := &model{name: fmt.Sprint("s", w.made), parked: w.make(plenty), since: time.Now(), took: time.Now()}
	w.made++
	first := FrameOf(fmt.Appendf(nil, "retry: %s\n\n", m.name), 0)
	age := time.Duration(w.rand.IntN(2)) * 25 * time.Second
	if age > 0 {
		m.expires = time.Now().Add(age)
	}
	switch w.rand.IntN(8) {
	case 0:
		m.room, m.refuses = w.rand.IntN(len(first.chunk)), true
	case 1:
		m.gone = true
	}
	for range w.rand.IntN(3) { // before it is served
		w.pushTo(m, NewBatch())
	}
	m.want = slices.Concat(first.chunk, m.want)
	for i := range m.direct {
		m.direct[i] += len(first.chunk)
	}
	if m.gone {
		m.decide(endLeft, true)
	}
	w.notef("%s begins: room %d, gone %v, age %v", m.name, m.room, m.gone, age)
	m.parkAt(m.socket.fd, first, age)
	waitIdle()
	w.streams = append(w.streams, m)
}

// step does one thing.
func (w *world) step() {
	m := w.streams[w.rand.IntN(len(w.streams))]
	switch op := w.rand.IntN(100); {
	case op < 45:
		w.push(m)
	case op < 50: // to all, as a topic does
		b := NewBatch()
		for _, m := range w.streams {
			w.pushTo(m, b)
		}
		b.Flush()
	case op < 70:
		w.waitIdle()
		room := []int{0, w.rand.IntN(20), w.rand.IntN(500), plenty, plenty, plenty}[w.rand.IntN(6)]
		w.notef("%s takes %d", m.name, room)
		m.refuses = room < plenty
		m.takes(room)
	case op < 75:
		w.waitIdle()
		n := w.rand.IntN(maxReceived / 2)
		w.notef("%s says %d", m.name, n)
		if m.said += n; m.said > maxReceived {
			m.decide(endSends, true)
		}
		m.says(n)
		w.waitIdle()
	case op < 88:
		w.waitIdle()
		d := time.Duration(w.rand.Int64N(int64(longest)))
		w.notef("%v pass", d)
		time.Sleep(d)
		w.pass()
	default:
		w.waitIdle()
		w.end(m)
		w.waitIdle()
		if w.rand.IntN(2) == 0 {
			w.begin() // perhaps with the number of one that has gone
		}
	}
	if w.rand.IntN(3) == 0 {
		w.waitIdle()
	}
}

// end ends a stream in one of the ways that there are.
func (w *world) end(m *model) {
	switch w.rand.IntN(6) {
	case 0, 1:
		bye := FrameOf(fmt.Appendf(nil, ": bye %s\n\n", m.name), 0)
		first := m.end(bye)
		w.notef("%s ends: %v", m.name, first)
		if first == m.decided {
			w.Errorf("%s: End = %v, want %v", m.name, first, !m.decided)
		}
		if first {
			if m.clean() >= len(m.want) {
				m.since = time.Now() // nothing waited
			}
			m.want = append(m.want, bye.chunk...)
			m.decide(endClosed, false)
		}
	case 2:
		w.notef("%s is aborted", m.name)
		m.decide(endDrain, true)
		m.abort(endDrain)
	case 3:
		w.notef("%s leaves", m.name)
		m.decide(endLeft, true)
		m.socket.leaves()
	case 4:
		w.notef("%s is reset", m.name)
		m.decide(endLeft, true)
		m.breaks(syscall.ECONNRESET)
	case 5:
		w.notef("%s is aborted during a write, or something like it", m.name)
		m.set(func(c *socket) { c.during = func() { m.abort(endDrain) }; c.came++ })
		m.said++
		if m.said > maxReceived {
			w.waitIdle()
			m.decide(m.ending.wire(), true) // either came first
			return
		}
		m.decide(endDrain, true)
	}
}

// push pushes to one stream, now or with other things.
func (w *world) push(m *model) {
	switch w.rand.IntN(4) {
	case 0:
		if w.held == nil {
			w.held = NewBatch().Hold()
		}
		w.pushTo(m, w.held)
	default:
		b := NewBatch()
		w.pushTo(m, b)
		b.Flush()
	}
}

// pushTo pushes something of a random kind and size.
func (w *world) pushTo(m *model, b *Batch) {
	m.pushed++
	text := fmt.Sprintf("data: %s %d %s\n\n", m.name, m.pushed, strings.Repeat("x", []int{0, 0, 0, 10, 10, 10, 300, 300, 300, 3000, 3000, 20_000}[w.rand.IntN(12)]))
	i := event(text, []Kind{Live, Live, Direct, Replay, Control}[w.rand.IntN(5)])
	before := m.Pending()
	var items []Item
	var err error
	switch i.Kind {
	case Live:
		items, err = []Item{i}, m.Push(b, i.Frame)
	case Direct:
		items, err = []Item{i}, m.PushDirect(b, i.Frame)
	default:
		head, rest := i.Frame.WithHead([]byte("id: head\n"), 3)
		items = []Item{i, {head, Control}, {rest, i.Kind}}
		err = m.PushAll(b, items)
	}
	w.notef("%s gets kind %d of %d: %v", m.name, i.Kind, len(text), err)
	over := before > 0 && before+i.cost() > w.opts.MaxPending
	switch {
	case errors.Is(err, ErrEnded):
		if why, ends := m.Ending(); !ends || !m.decided && why != endAge && why != endSlow {
			w.Errorf("%s: ErrEnded, and it ends: %v with %+v", m.name, ends, why)
		}
		return
	case m.decided:
		w.Errorf("%s: push = %v after its end was decided", m.name, err)
	case errors.Is(err, ErrFull):
		if i.Kind != Direct || !over {
			w.Errorf("%s: kind %d refused with %d pending", m.name, i.Kind, before)
		}
		return
	case errors.Is(err, ErrSlow):
		if !over {
			w.Errorf("%s: ErrSlow with %d pending", m.name, before)
		}
		m.decide(endSlow, true)
		return
	case err != nil || i.Kind == Direct && over || i.Kind == Live && over && before+i.cost() > burstFactor*w.opts.MaxPending:
		w.Errorf("%s: kind %d with %d pending: %v", m.name, i.Kind, before, err)
	}
	if m.clean() >= len(m.want) {
		m.since = time.Now() // nothing waited
	}
	m.want = append(m.want, chunked(items...)...)
	if i.Kind == Direct {
		m.direct = append(m.direct, len(m.want))
	}
}

// waitIdle waits for the engine and compares.
func (w *world) waitIdle() {
	if w.held != nil {
		w.held.Flush()
		w.held = nil
	}
	waitIdle()
	for _, m := range w.streams {
		m.compare()
	}
	w.streams = slices.DeleteFunc(w.streams, func(m *model) bool { return m.done })
	for len(w.streams) < 3 {
		w.begin()
	}
}

// pass takes note of what time alone has done.
func (w *world) pass() {
	waitIdle()
	late := w.opts.round() + 3*step
	for _, m := range w.streams {
		why, _ := m.Ending()
		_, closed := m.text()
		stuck := min(time.Since(m.since), time.Since(m.took))
		switch {
		case !m.expires.IsZero() && !m.decided && !time.Now().Before(m.expires.Add(-late)):
			if why == endAge {
				m.decide(endAge, false)
			} else if time.Since(m.expires) > late && why != endSlow {
				m.t.Errorf("%s: %v after its age it goes on", m.name, time.Since(m.expires))
			}
		}
		switch {
		case m.refuses && time.Since(m.took) > w.opts.WriteTimeout-late-longest && (why == endSlow || closed):
			m.decide(endSlow, true)
		case m.refuses && len(m.want) > m.seen && stuck > w.opts.WriteTimeout+late && !closed:
			m.t.Errorf("%s: refuses for %v and goes on", m.name, stuck)
		}
	}
	w.waitIdle()
}

// conclude ends all that is left.
func (w *world) conclude() {
	w.waitIdle()
	for _, m := range w.streams {
		m.takes(plenty)
		m.refuses = false
	}
	waitIdle()
	for _, m := range w.streams {
		if m.end(nil) {
			m.decide(endClosed, false)
		}
	}
	waitIdle()
	for _, m := range w.streams {
		m.compare()
		if !m.done {
			w.Errorf("%s is still open", m.name)
		}
	}
	if w.Failed() {
		w.Fatalf("after:\n%s", strings.Join(w.log, "\n"))
	}
}
