package storetest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// memory is the simplest log that keeps all promises. fault names a promise that it
// breaks, so that the suite can be seen to find that.
type memory struct {
	disk  *disk
	fault string

	order    sync.Mutex // held while events are stored and applied
	hub      topic.Follower
	running  chan struct{} // closed when Run has given the hub what there was
	stopped  chan struct{}
	stopping sync.Once
}

// disk is what outlives a memory.
type disk struct {
	mu        sync.Mutex
	events    []topic.Stored // guarded by mu, like all below
	keys      map[[16]byte]topic.Stored
	seq       uint64
	at        int64
	bytes     int64
	discarded uint64
	failing   bool
}

const (
	memoryEvent = 256 << 10
	memoryBytes = 64 << 20
)

var (
	errMemoryClosed = errors.New("memory: closed")
	errMemoryWrite  = errors.New("memory: write failed")
)

func memoryConfig(fault string) Config {
	return Config{
		MaxEvent: memoryEvent, MaxBytes: memoryBytes, Bubble: true,
		New: func(testing.TB) Place {
			d, saved := &disk{keys: make(map[[16]byte]topic.Stored)}, (*disk)(nil)
			return Place{
				Open: func(testing.TB) Instance {
					m := &memory{disk: d, fault: fault, running: make(chan struct{}), stopped: make(chan struct{})}
					if fault == "kill" {
						m.disk = d.clone()
						return Instance{Store: m, Close: func() error { return m.close() }, Kill: func() { _ = m.close() }}
					}
					return Instance{Store: m, Close: m.close, Kill: func() { _ = m.close() }, FailWrites: m.fail}
				},
				Save:    func(testing.TB) { saved = d.clone() },
				Restore: func(testing.TB) { saved.into(d) },
			}
		},
	}
}

func (d *disk) clone() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{events: slices.Clone(d.events), keys: maps.Clone(d.keys), seq: d.seq, at: d.at, bytes: d.bytes, discarded: d.discarded}
}

func (d *disk) into(to *disk) {
	c := d.clone()
	to.mu.Lock()
	defer to.mu.Unlock()
	to.events, to.keys, to.seq, to.at, to.bytes, to.discarded = c.events, c.keys, c.seq, c.at, c.bytes, c.discarded
}

func (m *memory) close() error {
	m.stopping.Do(func() { close(m.stopped) })
	m.order.Lock() // what is under way ends
	defer m.order.Unlock()
	return nil
}

func (m *memory) fail(fail bool) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.failing = fail
	if !fail && m.fault == "latch" && len(m.disk.events) > 0 {
		m.disk.failing = true
	}
}

func (m *memory) isStopped() bool {
	select {
	case <-m.stopped:
		return true
	default:
		return false
	}
}

func (m *memory) Run(ctx context.Context, hub topic.Follower) error {
	m.order.Lock()
	m.hub = hub
	hub.Key("")
	hub.Begin(1, 0, "memory")
	if m.fault == "caught" {
		close(m.running)
	}
	m.disk.mu.Lock()
	m.disk.expire()
	all := slices.Clone(m.disk.events)
	m.disk.mu.Unlock()
	if m.fault == "replay" && len(all) > 3 {
		all = all[:len(all)-1]
	}
	hub.Apply(all)
	if m.fault != "caught" {
		close(m.running)
	}
	m.order.Unlock()
	<-ctx.Done()
	m.stopping.Do(func() { close(m.stopped) })
	return nil
}

func (m *memory) Caught(ctx context.Context) error {
	select {
	case <-m.running:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *memory) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	if m.fault == "hang" {
		ctx = context.Background()
	}
	if m.fault == "batch" && len(entries) > 1 {
		entries = slices.Clone(entries)
		slices.Reverse(entries)
		results := topic.OneByOne(ctx, entries, m.append)
		slices.Reverse(results)
		return results
	}
	if m.fault == "prev" {
		results := make([]topic.Result, len(entries))
		for i, e := range entries {
			got, err := m.append(ctx, e)
			results[i] = topic.Result{Appended: got, Err: err}
		}
		return results
	}
	return topic.OneByOne(ctx, entries, m.append)
}

func (m *memory) append(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	select {
	case <-m.running:
	case <-m.stopped:
		return topic.Appended{}, errMemoryClosed
	case <-ctx.Done():
		return topic.Appended{}, context.Cause(ctx)
	}
	if len(e.Data)+len(e.Name) > memoryEvent && m.fault != "size" {
		return topic.Appended{}, wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge, "too large")
	}
	done := make(chan topic.Result, 1)
	go func() { // ends with the hub's answer
		got, err := m.take(e)
		done <- topic.Result{Appended: got, Err: err}
	}()
	select {
	case r := <-done:
		return r.Appended, r.Err
	case <-ctx.Done():
		return topic.Appended{}, context.Cause(ctx)
	}
}

func (m *memory) take(e topic.Entry) (topic.Appended, error) {
	m.order.Lock()
	defer m.order.Unlock()
	if m.isStopped() {
		return topic.Appended{}, errMemoryClosed
	}
	stored, repeat, err := m.disk.store(e, m.fault)
	if repeat || err != nil {
		return topic.Appended{Seq: stored.Seq, At: stored.At, Repeat: repeat}, err
	}
	applied := m.hub.Apply([]topic.Stored{stored})[0]
	if applied.Err != nil && m.fault != "refused" {
		m.disk.drop(func(old topic.Stored) bool { return old.Seq == stored.Seq })
		delete(m.disk.keys, topic.KeyID(e))
	}
	return topic.Appended{Seq: stored.Seq, At: stored.At, Receivers: applied.Receivers}, applied.Err
}

func (d *disk) store(e topic.Entry, fault string) (s topic.Stored, repeat bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now().UnixNano()
	if first, ok := d.keys[topic.KeyID(e)]; ok && e.Key != "" && (now-first.At < int64(topic.KeyLife) || fault == "keylife") {
		if !first.SameContent(&e) && fault != "mismatch" {
			return s, false, topic.ErrMismatch
		}
		return first, true, nil
	}
	if d.failing {
		if fault == "silent" {
			d.seq++
			return topic.Stored{Entry: e, Seq: d.seq, At: max(now, d.at)}, false, nil
		}
		return s, false, errMemoryWrite
	}
	if d.seq++; fault == "reuse" {
		d.seq = 1
		if n := len(d.events); n > 0 {
			d.seq = d.events[n-1].Seq + 1
		}
	}
	d.at = max(now, d.at+1)
	s = topic.Stored{Entry: e, Seq: d.seq, At: d.at, PrevKnown: true}
	for _, old := range slices.Backward(d.events) {
		if old.Topic == e.Topic {
			if s.Prev < old.Seq && fault != "prev" {
				s.Prev = old.Seq
			}
			break
		}
	}
	d.events = append(d.events, s)
	if d.keys[topic.KeyID(e)] = s; fault == "key" {
		clear(d.keys)
	}
	for d.bytes += int64(len(e.Data)); d.bytes > memoryBytes; d.events = d.events[1:] {
		d.bytes -= int64(len(d.events[0].Data))
		if fault != "discarded" {
			d.discarded = d.events[0].Seq + 1
		}
	}
	return s, false, nil
}

func (d *disk) drop(gone func(topic.Stored) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = slices.DeleteFunc(slices.Clone(d.events), gone)
}

// expire drops what has expired. The caller holds the lock.
func (d *disk) expire() {
	now := time.Now().UnixNano()
	d.events = slices.DeleteFunc(slices.Clone(d.events), func(e topic.Stored) bool { return e.Age > 0 && e.At+int64(e.Age) <= now })
}
