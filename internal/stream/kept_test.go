package stream

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// owned is a stream and what its owner was notified of.
type owned struct {
	Stream
	over chan wire.Ending // size 1
}

// Ended implements Owner.
func (o *owned) Ended(why wire.Ending) { o.over <- why }

// keepOne keeps a stream at one end of a TCP connection, and gives the other.
// That is done where no descriptor is left to park it with.
func keepOne(t *testing.T, e *Engine) (*owned, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	o := &owned{over: make(chan wire.Ending, 1)}
	o.Init(e, o)
	o.keep(server, FrameOf([]byte("retry: 1\n\n"), 0), 0)
	return o, client.(*net.TCPConn)
}

func running(t *testing.T, opts Options) *Engine {
	e := NewEngine(opts)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Run(ctx) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
		(&rig{Engine: e, t: t}).empty()
	})
	return e
}

func TestAConnectionThatCannotBeParkedIsKept(t *testing.T) {
	t.Parallel()
	e := running(t, Options{WriteTimeout: time.Minute})
	o, client := keepOne(t, e)
	one := event("data: 1\n\n", Live)
	b := NewBatch()
	_ = o.Push(b, one.Frame)
	b.Flush()
	b = NewBatch()
	o.End(b, endClosed, nil)
	b.Flush()
	got, err := io.ReadAll(client)
	if want := "a\r\nretry: 1\n\n\r\n" + chunked(one) + string(terminator); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if why := <-o.over; why != endClosed {
		t.Errorf("Ended = %+v", why)
	}
}

// TestAKeptConnectionIsWatched: bytes, too many of them, and hang-ups, also while
// a write is stuck.
func TestAKeptConnectionIsWatched(t *testing.T) {
	t.Parallel()
	e := running(t, Options{WriteTimeout: time.Minute})
	huge := event(strings.Repeat("x", 32<<20), Replay)
	for _, full := range []bool{false, true} {
		for name, tt := range map[string]struct {
			act func(*net.TCPConn)
			why wire.Ending
		}{
			"leaves":          {func(c *net.TCPConn) { _ = c.Close() }, endLeft},
			"resets":          {func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }, endLeft},
			"closes its half": {func(c *net.TCPConn) { _ = c.CloseWrite() }, endLeft},
			"sends": {func(c *net.TCPConn) {
				for err := error(nil); err == nil; {
					_, err = c.Write(make([]byte, 4<<10))
				}
			}, endSends},
		} {
			o, client := keepOne(t, e)
			if _, err := bufio.NewReader(client).ReadString('\r'); err != nil {
				t.Error(err)
			}
			if full {
				b := NewBatch()
				_ = o.PushAll(b, []Item{huge})
				b.Flush()
				_, _ = io.ReadFull(client, make([]byte, 1<<20))
			}
			tt.act(client)
			if why := <-o.over; why != tt.why {
				t.Errorf("full %v, the client %s: Ended = %+v, want %+v", full, name, why, tt.why)
			}
		}
	}
}

// TestAKeptConnectionThatIsGoneAlready: nothing is watched, and nobody waits.
func TestAKeptConnectionThatIsGoneAlready(t *testing.T) {
	t.Parallel()
	e := running(t, Options{})
	server, client := net.Pipe() // has no descriptor
	_ = client.Close()
	o := &owned{over: make(chan wire.Ending, 1)}
	o.Init(e, o)
	o.keep(server, nil, 0)
	if why := <-o.over; why != endFailed {
		t.Errorf("Ended = %+v, want %+v", why, endFailed)
	}
}
