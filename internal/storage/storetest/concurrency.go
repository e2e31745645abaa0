package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/internal/topic"
)

var concurrencyCases = []testCase{
	{"EverythingAtOnce", func(t *testing.T, c Config) {
		p, n := open(t, c)
		for range 2 {
			answered := n.everythingAtOnce(time.Second)
			n.chain("kept:0")
			n = n.again(p)
			n.holds(answered)
			for i := range 4 {
				if err := chained(n.read(fmt.Sprint("trimmed:", i)), false); err != nil {
					t.Errorf("trimmed: %v", err)
				}
			}
		}
	}},
	{"EverythingAtOnceAndAKill", func(t *testing.T, c Config) {
		p, n := open(t, c)
		if n.in.Kill == nil {
			t.Skip("the log cannot be killed")
		}
		for range 3 {
			var answered map[uint64]string
			var all sync.WaitGroup
			all.Go(func() { answered = n.everythingAtOnce(time.Second) })
			time.Sleep(300 * time.Millisecond) // anywhere in it
			n.kill()
			all.Wait()
			n = p.start(t)
			n.holds(answered)
		}
	}},
}

// everythingAtOnce calls all methods from many goroutines for a while. It gives
// what was answered at topics of which nothing is dropped.
func (n *node) everythingAtOnce(long time.Duration) map[uint64]string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	answered := make(map[uint64]string)
	var count atomic.Uint64
	for i := range 4 {
		all.Go(func() { // publishers of topics of which nothing is dropped
			name := fmt.Sprint("kept:", i%2)
			for ctx.Err() == nil {
				batch := texts(name, fmt.Sprint(count.Add(1)))
				for range count.Load() % 4 {
					batch = append(batch, text(name, fmt.Sprint(count.Add(1))))
				}
				n.append(ctx, batch, func(e topic.Entry, r topic.Result) {
					mu.Lock()
					defer mu.Unlock()
					answered[r.Seq] = e.Topic + " " + e.Data
				})
			}
		})
		all.Go(func() { // publishers of topics that are trimmed, deleted and closed
			rng := rand.New(rand.NewPCG(uint64(i), 0))
			name := fmt.Sprint("trimmed:", i)
			for ctx.Err() == nil {
				n.disturb(ctx, rng, name)
			}
		})
		all.Go(func() { // readers
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for ctx.Err() == nil {
				n.look(ctx, rng)
			}
		})
	}
	all.Wait()
	return answered
}

// append publishes as a hub does, and gives what was stored.
func (n *node) append(ctx context.Context, batch []topic.Entry, stored func(topic.Entry, topic.Result)) {
	counted := make(map[string]uint64)
	for i := range batch {
		k, _ := n.rec.state(batch[i].Topic)
		if batch[i].Delete {
			continue
		}
		counted[batch[i].Topic]++
		batch[i].Number, batch[i].Prev, batch[i].DeletedTo = k.number+counted[batch[i].Topic], k.last, k.born
	}
	for i, r := range n.store.AppendAll(ctx, batch) {
		if r.Err == nil && !r.Repeat {
			stored(batch[i], r)
		}
	}
}

func (n *node) disturb(ctx context.Context, rng *rand.Rand, name string) {
	none := func(topic.Entry, topic.Result) {}
	switch rng.IntN(12) {
	case 0:
		n.store.Trim(name, 1+rng.IntN(20))
	case 1:
		n.append(ctx, []topic.Entry{{Topic: name, Delete: true}}, func(_ topic.Entry, r topic.Result) {
			_ = n.store.Purge(ctx, name, r.Seq)
		})
	case 2:
		n.append(ctx, []topic.Entry{ending(name, "end")}, none)
	case 3:
		n.append(ctx, []topic.Entry{keyed(name, "same", fmt.Sprint(rng.IntN(5)))}, none)
	case 4:
		e := text(name, "aged")
		e.Age = time.Second
		n.append(ctx, []topic.Entry{e}, none)
	default:
		n.append(ctx, texts(name, numbered("x", 1+rng.IntN(10))...), none)
	}
}

func (n *node) look(ctx context.Context, rng *rand.Rand) {
	name := fmt.Sprint([]string{"kept:", "trimmed:"}[rng.IntN(2)], rng.IntN(4))
	switch rng.IntN(4) {
	case 0:
		_, _, _ = n.store.Time(ctx, rng.Uint64N(1000))
		n.store.Discarded()
		n.store.Lost(name)
	case 1:
		_, _, _ = n.store.Last(ctx, name)
	case 2:
		_, _, _ = n.store.Find(ctx, keyed(name, "same", fmt.Sprint(rng.IntN(5))), 1, everything)
	default:
		var last uint64
		_ = n.store.Read(ctx, name, rng.Uint64N(200), everything, func(e topic.Stored) error {
			if e.Seq <= last || e.Topic != name {
				n.t.Errorf("Read(%q) gives %s after %d", name, show(e), last)
			}
			last = e.Seq
			return nil
		})
	}
}
