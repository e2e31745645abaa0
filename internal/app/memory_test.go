package app

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/config"
)

func TestGrowthKeepsTheHeadroom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 1000}, {1, 1000}, {1 << 20, 1000}, // not more, whatever is in use
		{2 << 20, 800}, {16 << 20, 100}, {32 << 20, 50}, // 16 MiB
		{64 << 20, 25}, {65 << 20, 25}, {1 << 40, 25}, {math.MaxUint64, 25}, // not less
	} {
		if got := growth(c.live); got != c.want {
			t.Errorf("growth(%d) = %d, want %d", c.live, got, c.want)
		}
	}
}

// TestMemoryIsGivenBackWhenQuiet, once a burst and once when caches are empty, and
// neither amid a burst nor for little.
func TestMemoryIsGivenBackWhenQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var total, given atomic.Uint64
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		defer ended.Wait()
		defer cancel()
		ended.Go(func() { whenQuiet(ctx, total.Load, func() { given.Add(1) }) })
		time.Sleep(time.Second) // its ticks come between the steps
		for i, step := range []struct {
			bytes uint64 // allocated until the next tick
			given bool
		}{
			{worthBytes, false},    // busy
			{quietBytes, false},    // still
			{quietBytes - 1, true}, // quiet
			{0, false}, {0, false}, // has been given
			{quietBytes - 1, false}, // a little
			{quietBytes - 1, false}, // more, but not yet worth it
			{worthBytes / 2, false}, // busy
			{quietBytes - 1, true},  // quiet again
			{0, false}, {0, false}, {0, false}, {0, false}, {0, false},
			{0, true}, // caches are empty
			{0, false}, {0, false}, {0, false}, {0, false}, {0, false}, {0, false}, {0, false},
		} {
			total.Add(step.bytes)
			before := given.Load()
			time.Sleep(quietEvery)
			if got := given.Load() - before; got > 1 || (got == 1) != step.given {
				t.Errorf("step %d, %d bytes: given back %d times, want %v", i, step.bytes, got, step.given)
			}
		}
	})
}

// TestGivingBackKeepsNothingThatIsFree cannot be parallel: it looks at the memory
// of the whole process.
func TestGivingBackKeepsNothingThatIsFree(t *testing.T) {
	const free, burst = "/memory/classes/heap/free:bytes", 64 << 20
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	giveBack()
	others := read("/gc/heap/live:bytes") // what other tests have left behind, which goes when it likes
	pool := sync.Pool{New: func() any { return new([burst]byte) }}
	pool.Put(pool.Get())
	before := allocated()
	if before < burst {
		t.Fatalf("allocated() = %d after %d", before, burst)
	}
	giveBack()
	if kept := read(free); kept > burst/4 {
		t.Errorf("%d bytes are free and kept from the system", kept)
	}
	if live := read("/gc/heap/live:bytes"); live > others+burst/2 {
		t.Errorf("%d bytes live on in pools", live)
	}
	runtime.KeepAlive(&pool)
}

// TestEachCollectionIsFollowedUp until the context ends.
func TestEachCollectionIsFollowedUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan struct{}, 100) // more than there are collections
	afterEachCollection(ctx, func() { calls <- struct{}{} })
	for range 5 {
		collectUntil(calls)
	}
	cancel()
	others := make(chan struct{}, 100)
	afterEachCollection(t.Context(), func() { others <- struct{}{} })
	collect := func() {
		for range 3 { // what follows up the first has all been called by the last
			collectUntil(others)
		}
	}
	collect()
	before := len(calls)
	if collect(); len(calls) != before {
		t.Errorf("%d calls after the context ended", len(calls)-before)
	}
}

// collectUntil collects until it has been followed up: a collection that begins
// before the last one has been, entirely, is followed up together with it.
func collectUntil(followed <-chan struct{}) {
	for {
		runtime.GC()
		select {
		case <-followed:
			return
		default:
		}
	}
}

// TestTheEnvironmentDecidesAboutCollections if it says anything.
func TestTheEnvironmentDecidesAboutCollections(t *testing.T) {
	adjusted := func() bool {
		now := read("/gc/gogc:percent")
		return now >= leastGrowth && now != 100 // with which it begins
	}
	for _, gogc := range []string{"20", ""} {
		t.Setenv("GOGC", gogc)
		defer debug.SetGCPercent(debug.SetGCPercent(leastGrowth - 5))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var ended sync.WaitGroup
		ended.Go(func() { tuneMemory(ctx) })
		for i := 0; !adjusted() && ctx.Err() == nil && (gogc == "" || i < 20); i++ {
			runtime.GC()
		}
		if got, want := adjusted(), gogc == ""; got != want {
			t.Errorf("GOGC=%q: the heap may grow by %d%%", gogc, read("/gc/gogc:percent"))
		}
		cancel()
		ended.Wait()
	}
}

// TestX37BoundsFollowTheMemory: what is not configured is a share of what there is.
func TestX37BoundsFollowTheMemory(t *testing.T) { // not parallel: the limit is the process's
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64) })
	t.Setenv("GOMEMLIMIT", "128MiB")
	debug.SetMemoryLimit(128 << 20) // as the runtime does at the start
	p := &program{cfg: &config.Config{}, log: slog.New(slog.DiscardHandler)}
	_ = p.divideMemory(t.Context())
	if p.cfg.MaxHistory != 32<<20 || p.cfg.MaxInflight != 16<<20 {
		t.Errorf("with 128 MiB events may take %d and bodies %d bytes, want 32 and 16 MiB", p.cfg.MaxHistory, p.cfg.MaxInflight)
	}
	p.cfg = &config.Config{MaxHistory: 1 << 20, MaxInflight: 2 << 20}
	_ = p.divideMemory(t.Context())
	if p.cfg.MaxHistory != 1<<20 || p.cfg.MaxInflight != 2<<20 {
		t.Errorf("what was configured has become %d and %d", p.cfg.MaxHistory, p.cfg.MaxInflight)
	}
}
