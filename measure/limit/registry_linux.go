//go:build !386

package main

import "sync"

// registry knows the open streams: by token, and in as many parts as there are
// threads that write to all of them. A stream stays in its part, so that events
// come in the order in which they were sent. It may be used concurrently.
type registry struct {
	mu      sync.Mutex
	byToken map[token]*stream // guarded by mu, as all below
	parts   []part
	opened  int // streams that ever were
}

// part are streams in the order in which they were opened: that of their memory,
// here and in the kernel. Another order costs about a tenth more.
type part struct {
	streams []*stream
	gone    int // of them
}

const (
	// partRun is how many streams in a row go to the same part: streams that
	// share a cache line should not be written to by two threads.
	partRun = 16
	// minGone is how many closed streams a part keeps at least.
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

// remove forgets a stream. Its place in the order is given up later, together
// with others.
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
	left := make([]*stream, 0, len(p.streams)-p.gone) // someone may walk the old one
	for _, s := range p.streams {
		if !s.gone {
			left = append(left, s)
		}
	}
	*p = part{streams: left}
}

// find gives the stream of a token, or nil.
func (r *registry) find(t []byte) *stream {
	if len(t) != tokenSize {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byToken[token(t)]
}

// part gives the streams of one part, some of which may be closed.
func (r *registry) part(i int) []*stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts[i].streams
}
