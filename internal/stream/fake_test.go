package stream

import (
	"slices"
	"sync"
	"syscall"
	"testing"
)

// fake is a kernel whose sockets are in memory. It reports as long as there is
// something to report, like epoll, gives numbers of closed sockets out again at
// once, and fails the test when a closed one is used.
type fake struct {
	t       testing.TB
	mu      sync.Mutex
	change  sync.Cond
	sockets []*socket     // by number; nil: not in use
	extra   []socketEvent // to be given once more than is true
	refuses error         // of add and await
	stopped bool
	freed   bool
}

// socket is one connection, with its client behind it. Its fields are guarded
// by the fake.
type socket struct {
	k        *fake
	fd       int32
	key      uint64
	got      []byte // what the client has
	sends    int    // calls of send
	room     int    // bytes that are taken still
	came     int    // bytes that the client sent, not received yet
	gone     bool   // the client has left, or closed its half
	fails    error  // of send
	during   func() // called once, by the next send or receive, under no lock
	watched  bool
	awaited  bool // watched for room as well
	once     bool
	reported bool // a socket that is watched once has been reported
	closed   bool
}

// plenty is room for all that a test sends.
const plenty = 1 << 40

func newFake(t testing.TB) *fake {
	k := &fake{t: t}
	k.change.L = &k.mu
	return k
}

// open makes a connection that takes so many bytes.
func (k *fake) open(room int) *socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	fd := slices.Index(k.sockets, nil)
	if fd < 0 {
		fd = len(k.sockets)
		k.sockets = append(k.sockets, nil)
	}
	k.sockets[fd] = &socket{k: k, fd: int32(fd), room: room}
	return k.sockets[fd]
}

// set changes a socket from outside.
func (c *socket) set(change func(*socket)) {
	c.k.mu.Lock()
	change(c)
	c.k.mu.Unlock()
	c.k.change.Broadcast()
}

func (c *socket) takes(n int) { c.set(func(c *socket) { c.room = n }) }
func (c *socket) leaves()     { c.set(func(c *socket) { c.gone = true }) }
func (c *socket) says(n int)  { c.set(func(c *socket) { c.came += n }) }
func (c *socket) breaks(err error) {
	c.set(func(c *socket) { c.fails = err })
}

// failsNext has the next send fail, before anything is reported.
func (c *socket) failsNext(err error) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	c.fails = err
}

// unread is how many of the bytes that came were not received.
func (c *socket) unread() int {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	return c.came
}

// text is what the client has, and whether its socket is closed.
func (c *socket) text() (string, bool) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	return string(c.got), c.closed
}

// use finds an open socket, with the lock held. Its hook is called without.
func (k *fake) use(fd int32, what string) *socket {
	k.mu.Lock()
	if k.freed || int(fd) >= len(k.sockets) || fd < 0 || k.sockets[fd] == nil {
		k.t.Errorf("%s of descriptor %d, which is closed", what, fd)
		return &socket{k: k, fails: syscall.EBADF, gone: true}
	}
	c := k.sockets[fd]
	if hook := c.during; hook != nil && (what == "send" || what == "receive") {
		c.during = nil
		k.mu.Unlock()
		hook()
		k.mu.Lock()
	}
	return c
}

func (k *fake) send(fd int32, p []byte) (int, error) {
	c := k.use(fd, "send")
	defer k.mu.Unlock()
	c.sends++
	if c.fails != nil {
		return 0, c.fails
	}
	n := min(len(p), c.room)
	c.got = append(c.got, p[:n]...)
	c.room -= n
	return n, nil
}

func (k *fake) receive(fd int32, p []byte) (n int, gone bool) {
	c := k.use(fd, "receive")
	defer k.mu.Unlock()
	n = min(len(p), c.came)
	c.came -= n
	return n, n == 0 && c.gone
}

func (k *fake) watch(fd int32, what string, change func(*socket)) error {
	c := k.use(fd, what)
	defer k.mu.Unlock()
	if k.refuses != nil {
		return k.refuses
	}
	if what != "add" && !c.watched {
		k.t.Errorf("%s of descriptor %d, which was not added", what, fd)
	}
	change(c)
	k.change.Broadcast()
	return nil
}

func (k *fake) add(fd int32, key uint64, once bool) error {
	return k.watch(fd, "add", func(c *socket) { c.watched, c.key, c.once = true, key, once })
}

func (k *fake) await(fd int32, key uint64, writable bool) error {
	return k.watch(fd, "await", func(c *socket) { c.key, c.awaited = key, writable })
}

func (k *fake) rearm(fd int32, key uint64, once bool) error {
	return k.watch(fd, "rearm", func(c *socket) { c.key, c.once, c.reported = key, once, false })
}

func (k *fake) close(fd int32) {
	c := k.use(fd, "close")
	defer k.mu.Unlock()
	c.closed = true
	if int(fd) < len(k.sockets) {
		k.sockets[fd] = nil
	}
}

func (k *fake) wait(dst []socketEvent) []socketEvent {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		if k.stopped {
			return dst
		}
		dst = append(dst, k.extra...)
		k.extra = nil
		for _, c := range k.sockets {
			if c == nil || !c.watched || c.once && c.reported {
				continue
			}
			r := socketEvent{c.key, c.came > 0 || c.gone, c.awaited && (c.room > 0 || c.fails != nil), c.gone || c.fails != nil}
			if r.readable || r.writable || r.gone {
				c.reported = true
				dst = append(dst, r)
			}
		}
		if len(dst) > 0 {
			return dst
		}
		k.change.Wait()
	}
}

// invent has something reported that is not so, or not any more.
func (k *fake) invent(r socketEvent) {
	k.mu.Lock()
	k.extra = append(k.extra, r)
	k.mu.Unlock()
	k.change.Broadcast()
}

func (k *fake) stop() {
	k.mu.Lock()
	k.stopped = true
	k.mu.Unlock()
	k.change.Broadcast()
}

func (k *fake) free() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.freed = true
	for _, c := range k.sockets {
		if c != nil {
			k.t.Errorf("descriptor %d is open at the end", c.fd)
		}
	}
}
