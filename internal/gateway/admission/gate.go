package admission

import "sync"

// Gate counts the requests that are being served, until it is closed for good: then
// it admits no more, and the rest can be waited for. The zero value is open. All
// methods may be called concurrently.
type Gate struct {
	inside sync.WaitGroup

	mu     sync.Mutex
	closed bool // guarded by mu
}

// Enter counts a request, and reports whether the gate was open. If so, the caller
// must call Leave.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside.Add(1)
	}
	return !g.closed
}

// Leave ends a request that has entered.
func (g *Gate) Leave() { g.inside.Done() }

// Close makes Enter refuse from now on.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Closed reports whether Close was called.
func (g *Gate) Closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// Wait returns when all requests have left. Call Close before.
func (g *Gate) Wait() { g.inside.Wait() }
