package admission

import (
	"context"
	"sync/atomic"
	"time"
)

// Bounds that tests reach.
const (
	MinInterval  = minInterval
	MaxInterval  = maxInterval
	CPUShare     = cpuShare
	MaxPacedWait = maxPacedWait
	QuietAfter   = quietAfter
)

// TestLimiter is a Limiter whose inputs a test sets.
type TestLimiter struct {
	*Limiter
	Delivered, Runnable atomic.Uint64
	CPUTime             atomic.Int64 // nanoseconds
	Stopping            atomic.Bool
}

// NewTestLimiter returns one that paces, or one that is off.
func NewTestLimiter(off bool) *TestLimiter {
	l := new(TestLimiter)
	l.Limiter = NewLimiter(LimiterOptions{Off: off, Delivered: l.Delivered.Load, Stopping: l.Stopping.Load})
	l.runnable = l.Runnable.Load
	l.cpuTime = func() time.Duration { return time.Duration(l.CPUTime.Load()) }
	return l
}

// SetMaxWait sets the bound of the wait of one connect.
func (l *TestLimiter) SetMaxWait(d time.Duration) { l.maxWait = d }

// Start is Acquire for a client that always has the same address.
func (l *TestLimiter) Start(ctx context.Context) error { return l.Acquire(ctx, Address("192.0.2.1:1")) }

// Address is a client with that address.
type Address string

// RemoteAddr implements Client.
func (a Address) RemoteAddr() string { return string(a) }

// Unpaced is how many connects start without waiting here.
func Unpaced() int { return int(NewTestLimiter(false).unpaced) }

// Waiting is how many addresses have a client that waits.
func (s *Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queues)
}
