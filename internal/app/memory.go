package app

import (
	"cmp"
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// headroom is how much may be allocated between two collections of garbage,
	// whatever is in use: Go's own measure, as much again as is in use, collects
	// all the time while streams are few, and keeps far too much when they are
	// many. leastGrowth, in percent of what is in use, is where collecting a
	// large heap so often would cost too much.
	headroom    = 16 << 20
	leastGrowth = 25

	// calmEvery is how often the program looks whether it is calm, calmBytes how
	// little it has allocated since if it is, and worthBytes how much it must
	// have allocated for memory to be worth giving back.
	calmEvery  = 5 * time.Second
	calmBytes  = 4 << 20
	worthBytes = 16 << 20
	// cacheTicks is how many calm looks later it is given back once more: by then
	// the store in the process has let go of the blocks that it read or wrote.
	cacheTicks = 6
)

const (
	// mostHistory and mostInflight are what events that are kept and bodies under way
	// may take if nothing is configured, where there is memory enough.
	mostHistory  = 256 << 20
	mostInflight = 128 << 20
	// ofCgroup is how much of its control group's memory the runtime may use before it
	// collects whatever that costs: in percent. The group counts more than the runtime.
	ofCgroup = 90
)

// divideMemory sets what is not configured by what the process may use: the machine's
// memory, less if its control group has less, or GOMEMLIMIT says so.
func (p *program) divideMemory() {
	memory, group := memoryOf(memlimit.FromSystem), memoryOf(memlimit.FromCgroup)
	limit, given := int64(math.MaxInt64), os.Getenv("GOMEMLIMIT") != ""
	switch {
	case given:
		limit = debug.SetMemoryLimit(-1)
	case group < memory && !p.cfg.NoMemoryTuning:
		limit = group / 100 * ofCgroup
		debug.SetMemoryLimit(limit)
	}
	memory = min(memory, group, limit)
	p.cfg.MaxHistory = cmp.Or(p.cfg.MaxHistory, min(mostHistory, memory/4))
	p.cfg.MaxInflight = cmp.Or(p.cfg.MaxInflight, min(mostInflight, memory/8))
	if limit < math.MaxInt64 {
		p.log.Info("memory", "limit", limit, "max_history", p.cfg.MaxHistory, "max_inflight", p.cfg.MaxInflight)
	}
}

// memoryOf asks how much there is; without an answer there is no bound.
func memoryOf(ask func() (uint64, error)) int64 {
	n, err := ask()
	if err != nil || n == 0 || n > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}

// keysOf is how many idempotency keys are remembered: a quarter of what events may
// take, about.
func keysOf(history int64) int { return int(min(1_000_000, max(10_000, history/400))) }

// tuneMemory keeps the memory of the program close to what is in use, until ctx ends. If
// the environment variable GOGC is set, it decides when garbage is collected.
// --no-memory-tuning turns it off.
func tuneMemory(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(100))
		afterEachCollection(ctx, func() { debug.SetGCPercent(growth(read("/gc/heap/live:bytes"))) })
	}
	whenCalm(ctx, allocated, giveBack)
}

// growth is the heap growth in percent that amounts to the headroom.
func growth(live uint64) int {
	return int(max(leastGrowth, min(1000, 100*headroom/max(1, live))))
}

// afterEachCollection calls do after each garbage collection until ctx ends.
func afterEachCollection(ctx context.Context, do func()) {
	type sentinel struct{ _ *int } // what nobody refers to is collected each time
	runtime.SetFinalizer(new(sentinel), func(*sentinel) {
		if ctx.Err() == nil {
			do()
			afterEachCollection(ctx, do)
		}
	})
}

// whenCalm calls do whenever a burst of allocations is over, and once more some
// time later, until ctx ends.
// allocated tells how many bytes have been allocated since the start.
func whenCalm(ctx context.Context, allocated func() uint64, do func()) {
	ticker := time.NewTicker(calmEvery)
	defer ticker.Stop()
	var last, given uint64
	left := 0 // looks until it is done once more
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := allocated()
		switch calm := now-last < calmBytes; {
		case calm && now-given > worthBytes:
			do()
			given, left = now, cacheTicks
		case calm && left > 0:
			if left--; left == 0 {
				do()
				given = now
			}
		}
		last = now
	}
}

// giveBack returns memory that is not in use to the system. Left to itself the
// runtime does so only minutes later, after the next collection, and a program
// that just holds streams has none.
func giveBack() {
	runtime.GC() // pools give up what they hold at the second collection
	debug.FreeOSMemory()
}

func allocated() uint64 { return read("/gc/heap/allocs:bytes") }

func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
