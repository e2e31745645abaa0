package segments

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/topic"
)

// TestEverythingTogether appends, reads, trims, deletes, purges, looks up, rewrites, syncs,
// scrubs and fails at the same time. It closes the log in the middle of that. Acknowledged
// events of topics that are not trimmed are there. Without faults nothing is damaged.
func TestEverythingTogether(t *testing.T) {
	t.Parallel()
	for _, power := range []bool{false, true} {
		for _, failing := range []bool{false, true} {
			t.Run(fmt.Sprintf("power %v, failing %v", power, failing), func(t *testing.T) {
				t.Parallel()
				x := &together{t: t, dir: t.TempDir(), power: power, failing: failing, answered: make(map[string]string)}
				for range 3 {
					x.round(300 * time.Millisecond)
				}
				x.check(start(t, x.dir, func(o *Options) {
					o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
				}))
			})
		}
	}
}

// together is a log at which all is done at once.
type together struct {
	t     *testing.T
	dir   string
	power bool
	// failing says that operations of the file system fail.
	failing bool

	mu       sync.Mutex
	answered map[string]string // guarded by mu: data by topic and position
	count    int
}

func (x *together) round(long time.Duration) {
	files := &faultFS{}
	r := start(x.t, x.dir, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(x.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
		o.Power, o.FS, o.segmentSize, o.maintain, o.scrubRate, o.MaxBytes = x.power, files, 8<<10, 3*time.Millisecond, 1<<30, 1<<30
	})
	x.check(r)
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() { x.publish(ctx, r.log, fmt.Sprint("kept", i)) })
		all.Go(func() { x.disturb(ctx, r.log, uint64(i)) })
		all.Go(func() { x.look(ctx, r.log, uint64(i)) })
	}
	if x.failing {
		all.Go(func() {
			for ctx.Err() == nil {
				files.set(func(n int, op, _ string) fault {
					if op != "read" && n%5 == 0 {
						return fault{err: syscall.EIO, short: n%2 == 0 && op == "write"}
					}
					return fault{}
				})
				_ = backoff.Wait(ctx, 5*time.Millisecond)
				files.set(nil)
				_ = backoff.Wait(ctx, 20*time.Millisecond)
			}
			files.set(nil)
		})
	}
	_ = backoff.Wait(ctx, long*3/4)
	if !x.failing { // in the middle of it
		r.stop()
	}
	all.Wait()
	files.set(nil)
	r.stop()
}

// publish appends to a topic of which nothing is dropped.
func (x *together) publish(ctx context.Context, l *Log, name string) {
	for ctx.Err() == nil {
		var batch []topic.Entry
		x.mu.Lock()
		for range 1 + x.count%4 {
			x.count++
			batch = append(batch, entry(name, fmt.Sprint(x.count, " ", strings.Repeat("x", x.count*37%900))))
		}
		x.mu.Unlock()
		results := l.AppendAll(ctx, batch)
		x.mu.Lock()
		for i, r := range results {
			if r.Err == nil {
				x.answered[fmt.Sprint(name, " ", r.Seq)] = batch[i].Data
			}
		}
		x.mu.Unlock()
	}
}

// disturb appends to topics that come and go.
func (x *together) disturb(ctx context.Context, l *Log, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for ctx.Err() == nil {
		name := fmt.Sprint("goes", rng.IntN(20))
		switch rng.IntN(10) {
		case 0:
			l.Trim(name, rng.IntN(5))
		case 1:
			if r := l.AppendAll(ctx, []topic.Entry{{Topic: name, Delete: true}})[0]; r.Err == nil {
				_ = l.Purge(ctx, name, r.Seq)
			}
		case 2:
			l.AppendAll(ctx, []topic.Entry{{Topic: name, Close: true, HasEvent: true, Age: time.Millisecond}})
		case 3:
			l.AppendAll(ctx, []topic.Entry{{Topic: name, HasEvent: true, Data: "same", Key: fmt.Sprint(rng.IntN(9))}})
		default:
			e := entry(name, strings.Repeat("y", rng.IntN(3000)))
			e.Age = time.Duration(rng.IntN(3)) * 20 * time.Millisecond
			l.AppendAll(ctx, []topic.Entry{e, e})
		}
	}
}

// look reads all there is to be read.
func (x *together) look(ctx context.Context, l *Log, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		name := fmt.Sprint([]string{"kept", "goes"}[rng.IntN(2)], rng.IntN(5))
		before := uint64(0)
		_ = l.Read(ctx, name, rng.Uint64N(500), math.MaxUint64, func(e topic.Stored) error {
			if e.Seq <= before || e.Topic != name {
				x.t.Errorf("Read(%q) gives %d of %q behind %d", name, e.Seq, e.Topic, before)
			}
			before = e.Seq
			return nil
		})
		_, _, _ = l.Last(ctx, name)
		_, _, _ = l.Time(ctx, rng.Uint64N(2000))
		_, _, _ = l.Find(ctx, topic.Entry{Topic: name, HasEvent: true, Data: "same", Key: "3"}, 1, math.MaxUint64)
		l.Discarded()
		l.Lost(name)
		l.Stats()
		l.Health()
	}
}

// check looks for what was answered.
func (x *together) check(r *rig) {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	there := make(map[string]string)
	for i := range 3 {
		name := fmt.Sprint("kept", i)
		before := uint64(0)
		for _, e := range r.all(name) {
			there[fmt.Sprint(name, " ", e.Seq)] = e.Data
			if before > 0 && e.PrevKnown && e.Prev != before {
				x.t.Errorf("%q: %d comes behind %d, and names %d", name, e.Seq, before, e.Prev)
			}
			before = e.Seq
		}
		if lost := r.log.Lost(name); lost > 0 && !x.failing {
			x.t.Errorf("Lost(%q) = %d", name, lost)
		}
	}
	for at, data := range x.answered {
		if there[at] != data {
			x.t.Errorf("%s was answered, and %.20q is there in place of %.20q", at, there[at], data)
		}
	}
	if x.failing { // that something is missing may be said once too often, never too seldom
		return
	}
	if s := r.log.Stats(); s.Damaged > 0 || s.Holes > 0 || r.log.Discarded() > 0 {
		x.t.Errorf("%d places are damaged, %d holes, discarded below %d", s.Damaged, s.Holes, r.log.Discarded())
	}
}
