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
	// headroom is how many bytes can be allocated between two garbage collections. Go's default, as
	// much again as is live, collects all the time while streams are few, and keeps far too much
	// when they are many. leastGrowth, in percent of the live heap, bounds the cost of collecting a
	// large heap.
	headroom    = 16 << 20
	leastGrowth = 25

	// quietEvery is the time between two checks. The program is quiet if it has allocated less than
	// quietBytes in between. Memory goes back to the system if more than worthBytes were allocated
	// since the last time.
	quietEvery = 5 * time.Second
	quietBytes = 4 << 20
	worthBytes = 16 << 20
	// cacheTicks is the number of quiet checks after which memory goes back once more: the embedded
	// store has freed its cached blocks by then.
	cacheTicks = 6
)

const (
	// mostHistory and mostInflight are the defaults of --max-history and --max-inflight where there
	// is enough memory.
	mostHistory  = 256 << 20
	mostInflight = 128 << 20
	// ofCgroup is the share of the control group's memory, in percent, at which the runtime collects
	// at any cost. The rest is for what the group counts and the runtime does not.
	ofCgroup = 90
)

// divideMemory sets the memory limit of the runtime, and the defaults that depend on the memory that
// the process can use: the machine's, its control group's, or GOMEMLIMIT.
func (p *program) divideMemory(context.Context) error {
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
	return nil
}

// memoryOf returns the bytes that ask reports, and no bound if it reports none.
func memoryOf(ask func() (uint64, error)) int64 {
	n, err := ask()
	if err != nil || n == 0 || n > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}

// keysOf is the number of idempotency keys that are kept: they take about a quarter of the memory
// of the history.
func keysOf(history int64) int { return int(min(1_000_000, max(10_000, history/400))) }

// tuneMemory keeps the memory of the process close to what is live, until ctx ends. If the
// environment variable GOGC is set, it decides about collections instead. --no-memory-tuning turns
// all of this off.
func tuneMemory(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(100))
		afterEachCollection(ctx, func() { debug.SetGCPercent(growth(read("/gc/heap/live:bytes"))) })
	}
	whenQuiet(ctx, allocated, giveBack)
}

// growth is the heap growth, in percent, that leaves the headroom.
func growth(live uint64) int {
	return int(max(leastGrowth, min(1000, 100*headroom/max(1, live))))
}

// afterEachCollection calls do after each garbage collection until ctx ends.
func afterEachCollection(ctx context.Context, do func()) {
	type sentinel struct{ _ *int } // unreferenced, so each collection finalizes it
	runtime.SetFinalizer(new(sentinel), func(*sentinel) {
		if ctx.Err() == nil {
			do()
			afterEachCollection(ctx, do)
		}
	})
}

// whenQuiet calls do when a burst of allocations is over, and once more some time later, until ctx
// ends. allocated returns the bytes allocated since the start.
func whenQuiet(ctx context.Context, allocated func() uint64, do func()) {
	ticker := time.NewTicker(quietEvery)
	defer ticker.Stop()
	var last, given uint64
	left := 0 // checks until it is done once more
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := allocated()
		switch quiet := now-last < quietBytes; {
		case quiet && now-given > worthBytes:
			do()
			given, left = now, cacheTicks
		case quiet && left > 0:
			if left--; left == 0 {
				do()
				given = now
			}
		}
		last = now
	}
}

// giveBack returns free memory to the system. The runtime itself does so only minutes after the next
// collection, and a program that only holds streams has no collections.
func giveBack() {
	runtime.GC() // a sync.Pool frees its objects at the second collection
	debug.FreeOSMemory()
}

func allocated() uint64 { return read("/gc/heap/allocs:bytes") }

func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
