package storetest

import (
	"context"
	"slices"

	"tidegate/internal/topic"
)

// of is what is stored of a topic.
func (m *memory) of(name string) (found []topic.Stored) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if m.fault != "age" {
		m.disk.expire()
	}
	for _, e := range m.disk.events {
		if e.Topic == name {
			found = append(found, e)
		}
	}
	return found
}

func (m *memory) Read(ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	for i, e := range m.of(name) {
		switch {
		case e.Seq < from, e.Seq >= before && m.fault != "range":
			continue
		case ctx.Err() != nil && m.fault == "cut":
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case m.fault == "data" && i == 3:
			e.Data += " "
		case m.fault == "born":
			e.DeletedTo = 0
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Last(_ context.Context, name string) (e topic.Stored, ok bool, err error) {
	events := m.of(name)
	if m.fault == "last" {
		events = withoutDeletions(events)
	}
	if len(events) == 0 {
		return e, false, nil
	}
	return events[len(events)-1], true, nil
}

func (m *memory) Find(_ context.Context, e topic.Entry, from, before uint64) (topic.Appended, bool, error) {
	for _, s := range slices.Backward(m.of(e.Topic)) {
		if s.Key != e.Key || s.Seq < from || s.Seq >= before {
			continue
		}
		if !s.SameContent(&e) && m.fault != "find" {
			return topic.Appended{}, false, topic.ErrMismatch
		}
		return topic.Appended{Seq: s.Seq, At: s.At, Repeat: true}, true, nil
	}
	return topic.Appended{}, false, nil
}

func (m *memory) Time(_ context.Context, seq uint64) (at int64, exact bool, err error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	for _, e := range m.disk.events {
		if e.Seq >= seq {
			return e.At, e.Seq == seq || m.fault == "time", nil
		}
	}
	return 0, false, nil
}

func (m *memory) Trim(name string, keep int) {
	events := m.of(name)
	if m.fault == "trim" {
		keep--
	}
	if m.fault == "untrimmed" || len(events) <= keep {
		return
	}
	oldest := events[len(events)-keep].Seq
	m.disk.drop(func(e topic.Stored) bool { return e.Topic == name && e.Seq < oldest })
}

func (m *memory) Discarded() uint64 {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.disk.discarded
}

func (m *memory) Lost(string) uint64 { return 0 }

func (m *memory) Purge(_ context.Context, name string, before uint64) error {
	m.disk.drop(func(e topic.Stored) bool { return (e.Topic == name || m.fault == "purge") && e.Seq < before })
	return nil
}
