//go:build !386

package main

import "sync"

// registry has the open streams, by token and in parts. Each thread that writes to all
// streams has one part. A stream stays in its part, so that its events keep their order.
// The registry is safe for concurrent use.
type registry struct {
	mu      sync.Mutex
	byToken map[token]*stream // guarded by mu, like the fields below
	parts   []part
	opened  int // streams opened so far
}

// part has streams in the order in which they were opened, which is the order of their
// memory here and in the kernel. Another order costs about a tenth more.
type part struct {
	streams []*stream
	gone    int // closed ones among them
}

const (
	// partRun is how many consecutive streams are in the same part. Two threads should
	// not write to streams that share a cache line.
	partRun = 16
	// minGone is how many closed streams a part keeps before it is compacted.
	minGone = 64
)

func newRegistry(parts int) *registry {
	return &registry{byToken: make(map[token]*stream), parts: make([]part, parts)}
}

func (r *registry) add(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.opened / partRun % len(r.parts)
	s.part = int32(i)
	r.opened++
	r.byToken[s.token] = s
	r.parts[i].streams = append(r.parts[i].streams, s)
}

// remove deletes a stream. Its place in the part is freed later, together with others.
func (r *registry) remove(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byToken, s.token)
	s.gone = true
	p := &r.parts[s.part]
	p.gone++
	if p.gone < max(minGone, len(p.streams)/2) {
		return
	}
	left := make([]*stream, 0, len(p.streams)-p.gone) // fan may still iterate over the old slice
	for _, s := range p.streams {
		if !s.gone {
			left = append(left, s)
		}
	}
	*p = part{streams: left}
}

// find returns the stream of a token, or nil.
func (r *registry) find(t []byte) *stream {
	if len(t) != tokenSize {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byToken[token(t)]
}

// part returns the streams of one part. Some may be closed.
func (r *registry) part(i int) []*stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts[i].streams
}
