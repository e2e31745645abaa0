package stream

import (
	"cmp"
	"context"
	"io"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/wire"
)

// rig is an engine on a fake kernel.
type rig struct {
	*Engine
	t testing.TB
	k *fake
}

// onFake runs a test of an engine in a bubble. At the end nothing may be left.
func onFake(t *testing.T, opts Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, opts)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = r.Run(ctx) })
		defer func() {
			synctest.Wait()
			stop()
			running.Wait()
			r.empty()
		}()
		test(t, r)
	})
}

func newRig(t testing.TB, opts Options) *rig {
	opts.MaxPending = cmp.Or(opts.MaxPending, 1<<20)
	opts.WriteTimeout = cmp.Or(opts.WriteTimeout, 30*time.Second)
	opts.Heartbeat = cmp.Or(opts.Heartbeat, time.Hour)
	opts.NoParking = true
	r := &rig{Engine: NewEngine(opts), t: t, k: newFake(t)}
	r.kernel = r.k
	return r
}

// empty checks that no stream is left.
func (r *rig) empty() {
	r.t.Helper()
	if n := len(r.slots.some(nil, 0, r.slots.size())); n > 0 || r.slots.size() > 0 && slices.ContainsFunc(r.slots.pages, func(p *page) bool { return p != nil }) {
		r.t.Errorf("%d streams have slots at the end", n)
	}
	if n := r.Parked(); n != 0 {
		r.t.Errorf("%d streams parked at the end", n)
	}
}

// parked is a parked stream, its owner, and its socket.
type parked struct {
	Stream
	*socket
	t    testing.TB
	mu   sync.Mutex
	ends []wire.Ending // guarded by mu
}

// Ended implements Owner.
func (p *parked) Ended(why wire.Ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, why)
}

// make prepares a stream and a socket that takes so many bytes.
func (r *rig) make(room int) *parked {
	p := &parked{t: r.t, socket: r.k.open(room)}
	p.Init(r.Engine, p)
	return p
}

// park makes a stream and parks it.
func (r *rig) park(room int) *parked {
	p := r.make(room)
	p.parkAt(p.socket.fd, nil, 0)
	return p
}

// waitIdle waits until nothing happens any more. It is for bubbles.
func waitIdle() { synctest.Wait() }

func (p *parked) push(items ...Item) error {
	b := NewBatch()
	defer b.Flush()
	for _, i := range items {
		if err := p.Stream.push(b, i); err != nil {
			return err
		}
	}
	return nil
}

func (p *parked) takesAll(items ...Item) {
	p.t.Helper()
	if err := p.push(items...); err != nil {
		p.t.Errorf("push: %v", err)
	}
}

func (p *parked) end(farewell *Frame) bool {
	b := NewBatch()
	defer b.Flush()
	return p.End(b, endClosed, farewell)
}

func (p *parked) abort(why wire.Ending) {
	b := NewBatch()
	p.Abort(b, why)
	b.Flush()
}

// open checks that the stream goes on, and what its client has.
func (p *parked) open(want string) {
	p.t.Helper()
	waitIdle()
	got, closed := p.text()
	if why, ends := p.Ending(); ends || closed {
		p.t.Errorf("it ended with %+v, want it to go on", why)
	}
	if got != want {
		p.t.Errorf("the client has %.100q, want %.100q", got, want)
	}
}

// over checks that the stream has ended, reported that to its owner once, and what its client has.
func (p *parked) over(why wire.Ending, want string) {
	p.t.Helper()
	waitIdle()
	got, closed := p.text()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !closed || !slices.Equal(p.ends, []wire.Ending{why}) {
		p.t.Errorf("socket closed: %v, Ended = %+v; want %+v once", closed, p.ends, why)
	}
	if got != want {
		p.t.Errorf("the client has %.100q, want %.100q", got, want)
	}
	if n := p.Pending(); n != 0 {
		p.t.Errorf("%d bytes pending after the end", n)
	}
	if p.queue.list != nil || p.queue.one.Frame != nil {
		p.t.Error("it holds frames after the end")
	}
}

var (
	endClosed = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}
	endAge    = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailMaxAge}
	endDrain  = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain}
	endLeft   = wire.Ending{Reason: wire.ClientClosed}
	endSlow   = wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer}
	endFailed = wire.Ending{Reason: wire.Failed, Detail: wire.DetailWriteFailed}
	endSends  = wire.Ending{Reason: wire.Failed, Detail: wire.DetailClientSends}
)

func event(text string, kind Kind) Item { return Item{FrameOf([]byte(text), 0), kind} }

// chunks is the items as a client gets them.
func chunked(items ...Item) string {
	var b strings.Builder
	for _, i := range items {
		b.Write(i.Frame.bytes(true))
	}
	return b.String()
}

// unchunk decodes what a client has. whole says that it saw the end.
func unchunk(t testing.TB, got string) (text string, whole bool) {
	t.Helper()
	rest := strings.NewReader(got)
	body, err := io.ReadAll(httputil.NewChunkedReader(rest))
	if err != nil && err != io.ErrUnexpectedEOF {
		t.Errorf("after %d bytes of text: %v", len(body), err)
	}
	return string(body), err == nil && strings.HasSuffix(got, string(terminator))
}
