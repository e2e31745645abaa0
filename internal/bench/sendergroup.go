package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"tidegate/internal/backoff"
)

// senderGroup is the work of several senders. Each owns a share of the streams,
// so that the order of a stream's events is known.
type senderGroup struct {
	size     int
	batch    int      // messages a request
	targets  []target // of each stream
	sent     []int64  // events to each stream; sender i owns i, i+n, …
	answered histogram
}

// run sends for a while over all connections. It returns how much, and how long
// it took.
func (g *senderGroup) run(ctx context.Context, conns []*sender, long time.Duration) (sends int64, took time.Duration, err error) {
	begin := time.Now()
	errs := make([]error, len(conns))
	answered := make([]histogram, len(conns))
	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			var body []byte
			for ctx.Err() == nil && errs[i] == nil && time.Since(begin) < long {
				at := time.Now()
				body = body[:0]
				for range g.batch {
					id := i + len(conns)*rand.IntN((len(g.targets)-i+len(conns)-1)/len(conns))
					body = g.next(body, id, at)
				}
				errs[i] = g.post(conn, body)
				answered[i].add(time.Since(at))
			}
		})
	}
	wg.Wait()
	took = time.Since(begin)
	for _, h := range answered {
		sends += h.count() * int64(g.batch)
		g.answered.merge(h)
	}
	return sends, took, errors.Join(append(errs, context.Cause(ctx))...)
}

// evenly sends count events to random streams, with a pause before each.
func (g *senderGroup) evenly(ctx context.Context, conn *sender, count int, pace time.Duration) error {
	var body []byte
	for range count {
		if err := backoff.Wait(ctx, pace); err != nil {
			return err
		}
		at := time.Now()
		body = g.next(body[:0], rand.IntN(len(g.targets)), at)
		if err := g.post(conn, body); err != nil {
			return err
		}
		g.answered.add(time.Since(at))
	}
	return nil
}

// next appends the next message to one stream.
func (g *senderGroup) next(body []byte, id int, at time.Time) []byte {
	g.sent[id]++
	m := mark{seq: g.sent[id], to: int64(id), at: at.UnixNano()}
	return append(appendMessage(body, g.targets[id], m, g.size), '\n')
}

func (g *senderGroup) post(conn *sender, body []byte) error {
	if g.batch <= 1 {
		_, err := conn.post(sendPath, typeJSON, body)
		return err
	}
	answer, err := conn.post(sendPath, typeNDJSON, body)
	if err != nil {
		return err
	}
	return allTaken(answer, g.batch)
}
