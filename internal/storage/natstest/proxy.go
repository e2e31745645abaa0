package natstest

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy is a network between a client and a server. It can stop forwarding without
// closing anything, and it can be cut.
type Proxy struct {
	URL string // where clients connect

	mu     sync.Mutex
	frozen chan struct{}         // guarded by mu: closed when it goes on; nil while it forwards
	conns  map[net.Conn]struct{} // guarded by mu: open ones, of both sides
	isCut  bool                  // guarded by mu
}

// NewProxy runs a proxy in front of the server at url until the test ends.
func NewProxy(t testing.TB, url string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "nats://" + l.Addr().String(), conns: map[net.Conn]struct{}{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				near.Close()
				continue
			}
			if !p.add(near, far) {
				continue
			}
			work.Go(func() { p.forward(near, far) })
			work.Go(func() { p.forward(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.Thaw()
		p.Cut()
		work.Wait()
	})
	return p
}

// add keeps two connections, or closes them if the proxy is cut.
func (p *Proxy) add(near, far net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isCut {
		near.Close()
		far.Close()
		return false
	}
	p.conns[near], p.conns[far] = struct{}{}, struct{}{}
	return true
}

func (p *Proxy) forward(from, to net.Conn) {
	defer func() {
		to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.pass()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while the proxy is frozen.
func (p *Proxy) pass() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

// Freeze stops forwarding until [Proxy.Thaw]. Connections stay open.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

// Thaw goes on forwarding, with what came meanwhile first.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// Cut closes all connections, and new ones at once, until [Proxy.Mend].
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = true
	for conn := range p.conns {
		conn.Close()
	}
}

// Mend lets clients connect again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isCut = false
}
