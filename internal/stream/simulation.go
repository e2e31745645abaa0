package stream

import (
	"sync"
	"sync/atomic"
	"time"
)

// Simulation stands for sockets that take everything and never hang up. It measures an
// engine with more streams than a process may open files. The zero value is ready for
// one engine.
type Simulation struct {
	Writes atomic.Int64 // so far
	Bytes  atomic.Int64
	Open   atomic.Int64 // sockets that are open

	next    atomic.Int32
	once    sync.Once
	stopped chan struct{}
}

func (k *Simulation) init() { k.once.Do(func() { k.stopped = make(chan struct{}) }) }

func (k *Simulation) send(_ int32, p []byte) (int, error) {
	k.Writes.Add(1)
	k.Bytes.Add(int64(len(p)))
	return len(p), nil
}

func (k *Simulation) receive(int32, []byte) (int, bool)    { return 0, false }
func (k *Simulation) add(int32, uint64, bool) error        { return nil }
func (k *Simulation) await(int32, uint64, bool) error      { return nil }
func (k *Simulation) rearm(int32, uint64, bool) error      { return nil }
func (k *Simulation) close(int32)                          { k.Open.Add(-1) }
func (k *Simulation) wait(dst []socketEvent) []socketEvent { k.init(); <-k.stopped; return dst }
func (k *Simulation) stop()                                { k.init(); close(k.stopped) }
func (k *Simulation) free()                                {}

// ServeSimulated serves the stream on a socket of the engine's simulation.
func (s *Stream) ServeSimulated(k *Simulation, first *Frame, age time.Duration) {
	k.Open.Add(1)
	s.parkAt(k.next.Add(1), first, age)
}
