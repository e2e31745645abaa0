package admission

import (
	"context"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync/atomic"
	"syscall"
	"time"
)

// Limiter slows a reconnect storm down while events are being delivered.
//
// The scheduler serves its queues in order. With a thousand connects in progress,
// an event for an open stream queues behind all of them, at each goroutine on its
// way. On saturated CPUs, woken goroutines queue in the kernel as well.
//
// So once a few connects are in progress, the next one starts only when no
// goroutine waits for a CPU, and when the process has used no more than its share
// of the CPUs since the previous start. This does not bound how many are in
// progress: while they wait for the backend, and not for a CPU, more start.
// Addresses alternate, so that a storm from one of them delays no other.
//
// All methods may be called concurrently.
type Limiter struct {
	off        bool                 // set once: nobody waits
	unpaced    int64                // set once: so many connects start without waiting
	delivered  func() uint64        // set once: events written to open streams so far
	runnable   func() uint64        // set once: goroutines that wait for a CPU
	cpuTime    func() time.Duration // set once: CPU time of this process so far
	stopping   func() bool          // set once: reports whether nobody is to wait any more
	maxWait    time.Duration        // set once
	inProgress atomic.Int64         // connects that have started or wait

	next *Slots // one slot: its holder starts next

	// Owned by the holder of the slot.
	lastDelivered uint64 // delivered, as read last
	deliveredAt   time.Time
	startedAt     time.Time     // start of the previous connect
	cpuAtStart    time.Duration // cpuTime at startedAt
}

const (
	// unpacedPerCPU is how many connects for each CPU are no storm.
	unpacedPerCPU = 2
	// minInterval is the least time between two starts. The scheduler polls the
	// network when it has nothing else to do, which starts in a row would prevent.
	minInterval = 100 * time.Microsecond
	// cpuShare is the divisor of the CPUs that the process may use while connects
	// are paced: a quarter. With a third, the slowest events for open streams take
	// about twice as long as in quiet times.
	cpuShare = 4
	// maxInterval bounds the time between two starts, for when other work keeps the
	// CPUs busy.
	maxInterval = 5 * time.Millisecond
	// maxPacedWait bounds the wait of one connect. A storm that is too large to be
	// admitted within half of it at the usual pace is admitted faster.
	maxPacedWait = 20 * time.Second
	// quietAfter is how long after the last event nobody waits for events any more.
	quietAfter = time.Second
)

// LimiterOptions configure a Limiter.
type LimiterOptions struct {
	Off       bool          // Acquire never waits
	Delivered func() uint64 // required: how many events were written to open streams so far
	Stopping  func() bool   // required: reports whether the gateway stops, so that nobody waits
}

// NewLimiter returns a limiter for the CPUs that the process has now.
func NewLimiter(o LimiterOptions) *Limiter {
	return &Limiter{
		off: o.Off, unpaced: unpacedPerCPU * int64(runtime.GOMAXPROCS(0)), next: NewSlots(1),
		delivered: o.Delivered, runnable: runnableGoroutines, cpuTime: processCPUTime,
		stopping: o.Stopping, maxWait: maxPacedWait,
	}
}

// runnableGoroutines is how many goroutines wait for a CPU.
func runnableGoroutines() uint64 {
	s := [1]runtimemetrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	runtimemetrics.Read(s[:])
	return s[0].Value.Uint64()
}

// processCPUTime is the CPU time of this process so far, which the kernel keeps up
// to date: getrusage(2).
func processCPUTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Acquire waits until a client's connect may start, 20 s at most. It returns
// [ErrTimeout] after that, or the cause of ctx's end. Without an error the caller
// must call Release when the connect has been answered.
func (l *Limiter) Acquire(ctx context.Context, who Client) error {
	if l.inProgress.Add(1) <= l.unpaced || l.off {
		return nil
	}
	deadline := time.NewTimer(l.maxWait)
	defer deadline.Stop()
	if err := l.next.Acquire(ctx, who, deadline.C); err != nil {
		l.Release()
		return err
	}
	l.waitForCapacity()
	l.next.Release()
	return nil
}

// Release ends a connect that Acquire has let start.
func (l *Limiter) Release() { l.inProgress.Add(-1) }

// InProgress is how many connects have started, or wait for their start.
func (l *Limiter) InProgress() int64 { return l.inProgress.Load() }

// waitForCapacity returns when the next connect delays no event. Only the holder of
// the slot calls it.
func (l *Limiter) waitForCapacity() {
	now := time.Now()
	if n := l.delivered(); n != l.lastDelivered {
		l.lastDelivered, l.deliveredAt = n, now
	} else if now.Sub(l.deliveredAt) > quietAfter {
		return
	}
	for end := now.Add(l.longestInterval()); now.Before(end) && !l.stopping(); {
		time.Sleep(minInterval)
		if now = time.Now(); l.runnable() == 0 && l.withinShare(now) {
			break
		}
	}
	l.startedAt, l.cpuAtStart = now, l.cpuTime()
}

// longestInterval is how long one start may take for all who wait to start in time.
func (l *Limiter) longestInterval() time.Duration {
	return min(maxInterval, l.maxWait/2/time.Duration(max(1, l.inProgress.Load())))
}

// withinShare reports whether the process has used no more than its share of the
// CPUs since the previous start.
func (l *Limiter) withinShare(now time.Time) bool {
	since := min(now.Sub(l.startedAt), l.maxWait)
	return l.cpuTime()-l.cpuAtStart <= since*time.Duration(runtime.GOMAXPROCS(0))/cpuShare
}
