package cluster

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// stallingProxy is a network between a member and the server that can stop forwarding
// without closing anything.
type stallingProxy struct {
	url string

	mu     sync.Mutex
	frozen chan struct{} // guarded by mu: closed when it goes on; nil while it forwards
}

func newStallingProxy(t testing.TB, url string) *stallingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &stallingProxy{url: "nats://" + l.Addr().String()}
	var work sync.WaitGroup
	var conns sync.Map
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
			conns.Store(near, nil)
			conns.Store(far, nil)
			work.Go(func() { p.forward(near, far) })
			work.Go(func() { p.forward(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.thaw()
		conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		work.Wait()
	})
	return p
}

func (p *stallingProxy) forward(from, to net.Conn) {
	defer to.Close()
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
func (p *stallingProxy) pass() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (p *stallingProxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *stallingProxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}
