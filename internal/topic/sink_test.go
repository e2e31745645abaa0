package topic_test

import (
	"bytes"
	"strings"
	"testing"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// sink is a stream that keeps all that is queued for it: a test reads it as a
// client would, from the start up to any byte.
type sink struct {
	frames []stream.Item
	ending *wire.Ending
	full   bool // the next Push ends the stream, as of a client that does not read
}

func (s *sink) Push(b *stream.Batch, f *stream.Frame) error {
	if s.full && s.ending == nil {
		s.ending = &wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer}
		return stream.ErrSlow
	}
	return s.PushAll(b, []stream.Item{{Frame: f, Kind: stream.Live}})
}

func (s *sink) PushAll(_ *stream.Batch, frames []stream.Item) error {
	if s.ending != nil {
		return stream.ErrEnded
	}
	s.frames = append(s.frames, frames...)
	return nil
}

func (s *sink) Merge(frames []stream.Item) error {
	if s.ending != nil {
		return stream.ErrEnded
	}
	var merged []stream.Item
	for _, w := range s.frames {
		for len(frames) > 0 && frames[0].Frame.Order() < w.Frame.Order() {
			merged, frames = append(merged, frames[0]), frames[1:]
		}
		merged = append(merged, w)
	}
	s.frames = append(merged, frames...)
	return nil
}

func (s *sink) End(_ *stream.Batch, why wire.Ending, _ *stream.Frame) bool {
	if s.ending != nil {
		return false
	}
	s.ending = &why
	return true
}

func (s *sink) HasEvents() bool {
	for _, f := range s.frames {
		if f.Kind != stream.Control {
			return true
		}
	}
	return false
}

// bytes is all that was queued.
func (s *sink) bytes() []byte {
	var all []byte
	for _, f := range s.frames {
		all = append(all, f.Frame.Block()...)
	}
	return all
}

// read is what a client makes of a stream: its events and its last event id.
func read(t testing.TB, stream []byte) (events []sse.Event, lastID string) {
	t.Helper()
	d := sse.NewDecoder(bytes.NewReader(stream), sse.DecoderOptions{})
	for ev, err := range d.Events() {
		if err != nil {
			t.Errorf("read the stream: %v", err)
			break
		}
		events = append(events, ev)
	}
	return events, d.LastEventID()
}

// got is what a client sees: "reset" and the data of the events, in one line.
func (s *sink) got(t testing.TB) string {
	t.Helper()
	events, _ := read(t, s.bytes())
	var words []string
	for _, ev := range events {
		if ev.Name == "reset" {
			words = append(words, "reset")
		} else {
			words = append(words, ev.Data)
		}
	}
	return strings.Join(words, " ")
}

// lastID is what a client that has read everything resumes with.
func (s *sink) lastID(t testing.TB) string {
	t.Helper()
	_, id := read(t, s.bytes())
	return id
}

// publish appends events with these data to a topic. Like all helpers here it may
// be called from any goroutine.
func publish(t testing.TB, h *topic.Hub, name string, data ...string) (ids []string) {
	t.Helper()
	for _, d := range data {
		r, err := h.Publish(ctx, topic.Publication{Topic: name, HasEvent: true, Data: d})
		if err != nil {
			t.Errorf("Publish(%q, %q): %v", name, d, err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// closeTopic closes a topic without an event.
func closeTopic(t testing.TB, h *topic.Hub, name string) {
	t.Helper()
	if _, err := h.Publish(ctx, topic.Publication{Topic: name, Close: true}); err != nil {
		t.Errorf("close %q: %v", name, err)
	}
}

// connect makes a stream whose callback is pending and attaches it to topics, if
// there are any.
func connect(t testing.TB, h *topic.Hub, lastID, from string, topics ...string) (*sink, *topic.Member) {
	t.Helper()
	s := &sink{}
	m := topic.NewMember(s, lastID)
	if len(topics) > 0 {
		attach(t, h, m, from, topics...)
	}
	return s, m
}

func attach(t testing.TB, h *topic.Hub, m *topic.Member, from string, topics ...string) {
	t.Helper()
	if _, err := h.Attach(ctx, m, topics, from); err != nil {
		t.Errorf("Attach(%q, %q): %v", topics, from, err)
	}
}
