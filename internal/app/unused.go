package app

import (
	"net"
	"net/http"
	"sync"
)

// unused are the connections of a server that have not carried a byte: a
// browser opens some in advance, and so do the pools of HTTP clients.
// [http.Server.Shutdown] would wait five seconds for each of them to be used.
type unused struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{} // guarded by mu, as is closed
	closed bool
}

// track is a [http.Server.ConnState].
func (u *unused) track(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.closed:
		_ = c.Close()
	default:
		u.conns[c] = struct{}{}
	}
}

// close closes them, and those that are still to come.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close()
	}
}
