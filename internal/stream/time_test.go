package stream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/stream"
)

// beats reads lines until n heartbeats have come, and gives when they did.
func beats(t testing.TB, body *bufio.Reader, n int) (at []time.Time) {
	t.Helper()
	for len(at) < n {
		if got := line(t, body); got != ": heartbeat" {
			t.Fatalf("got %q, want a heartbeat", got)
		}
		at = append(at, time.Now())
	}
	return at
}

// TestF19AnIdleStreamGetsItsHeartbeats is about write deadlines that are left
// standing: on HTTP/2 they reset a stream that nothing is wrong with.
func TestF19AnIdleStreamGetsItsHeartbeats(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		n.opts.WriteTimeout = beat / 3 // is over before the next write
		last := time.Now()
		s, response := n.open()
		body := bufio.NewReader(response.Body)
		for _, at := range beats(t, body, 50) {
			if gap := at.Sub(last); gap > beat || gap < beat*3/4 {
				t.Errorf("a heartbeat after %v, want 3/4 of %v at least and never later", gap, beat)
			}
			last = at
		}
		s.takes(live("still here"))
		if got := line(t, body); got != "data: still here" {
			t.Errorf("got %q", got)
		}
	})
}

func TestHeartbeatsComeAfterSilenceOnly(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		body := bufio.NewReader(response.Body)
		for range 100 {
			time.Sleep(beat/2 + time.Second)
			s.takes(live("x"))
			if got := line(t, body); got != "data: x" {
				t.Fatalf("got %q between events", got)
			}
		}
		last := time.Now()
		if gap := beats(t, body, 1)[0].Sub(last); gap > beat {
			t.Errorf("a heartbeat %v after the last event, want %v at most", gap, beat)
		}
	})
}

func TestAClientThatReadsNothingIsEndedAtTheWriteTimeout(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		time.Sleep(time.Second)
		start := time.Now()
		s.stick()
		s.takes(direct("1"))
		s.ended(start, writeTimeout, slowConsumer, true)
		if n := s.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want 1", n)
		}
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("the client saw an end, want a cut")
		}
	})
}

// TestAClientThatDoesNotReadTheHeaders is one that sends a request and then
// nothing any more.
func TestAClientThatDoesNotReadTheHeaders(t *testing.T) {
	onHTTP1(t, func(t *testing.T, n *network) {
		start := time.Now()
		if _, err := io.WriteString(dial(t, n), request); err != nil {
			t.Fatal(err)
		}
		s := <-n.sessions
		s.ended(start, writeTimeout, slowConsumer, true)

		if _, err := io.WriteString(dial(t, n), request); err != nil {
			t.Fatal(err)
		}
		s = <-n.sessions
		time.Sleep(time.Second)
		s.takes(direct(strings.Repeat("x", maxPending)))
		if err := s.push(direct("x")); !errors.Is(err, stream.ErrSlow) {
			t.Errorf("Push beyond what may wait for it: %v, want ErrSlow", err)
		}
		s.ended(time.Now(), 0, slowConsumer, true)
	})
}

const request = "GET / HTTP/1.1\r\nHost: pipe\r\n\r\n"

func dial(t *testing.T, n *network) net.Conn {
	t.Helper()
	conn, err := n.listener.DialContext(t.Context(), "", "")
	if err != nil {
		t.Error(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestAClientThatReadsNoHeartbeatIsEnded(t *testing.T) {
	onHTTP1(t, func(t *testing.T, n *network) {
		start := time.Now()
		s, _ := n.open()
		<-s.served
		if got := time.Since(start); got < beat*3/4+writeTimeout || got > beat+writeTimeout+late || s.why != slowConsumer {
			t.Errorf("ended after %v with %+v, want one heartbeat and the write timeout", got, s.why)
		}
	})
}

// TestALargeEventToASlowClientIsNoStall: it takes many times the write timeout,
// but goes on.
func TestALargeEventToASlowClientIsNoStall(t *testing.T) {
	onHTTP1(t, func(t *testing.T, n *network) {
		s, response := n.open()
		s.takes(live(strings.Repeat("x", 1<<20)))
		start := time.Now()
		want := len("data: \n\n") + 1<<20
		for got := 0; got < want; {
			time.Sleep(writeTimeout / 6)
			n, err := io.ReadFull(response.Body, make([]byte, min(16<<10, want-got)))
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			got += n
		}
		if took := time.Since(start); took < 5*writeTimeout {
			t.Errorf("it took %v, want far more than %v for this to be a test", took, writeTimeout)
		}
		synctest.Wait() // until the writer has seen that it is through
		s.takes(live("next"))
		if got := line(t, bufio.NewReader(response.Body)); got != "data: next" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAStreamEndsWithItsContext(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		time.Sleep(time.Second)
		start := time.Now()
		s.leave()
		s.ended(start, 0, clientClosed, true)
	})
}

func TestManyStreamsStartAndEnd(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		for i := range 50 {
			s, response := n.open()
			switch i % 3 {
			case 0:
				s.end(closed, nil)
				all(t, response.Body)
			case 1:
				s.abort(closed)
			case 2:
				_ = response.Body.Close()
			}
			<-s.served
		}
	})
}

func TestAContextThatEndedBeforeIsNoticed(t *testing.T) {
	t.Parallel()
	s := idle(t)
	s.takes(direct("1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cut := s.Serve(discard{}, httptest.NewRequestWithContext(ctx, "GET", "/", nil), nil, 0)
	if s.why != clientClosed || !cut || s.Undelivered() != 1 {
		t.Errorf("Ended = %+v, cut %v with %d undelivered", s.why, cut, s.Undelivered())
	}
}

// TestAStuckStreamDoesNotHoldUpOthersOfItsConnection is about two streams that
// share one connection by HTTP/2.
func TestAStuckStreamDoesNotHoldUpOthersOfItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		n := newNetwork(t, &protocols)
		stuck, _ := n.open()
		other, response := n.open()
		start := time.Now()
		stuck.stick()
		other.takes(live("at once"))
		body := bufio.NewReader(response.Body)
		if got := line(t, body); got != "data: at once" || time.Since(start) != 0 {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
		beats(t, body, 1)
		stuck.ended(start, writeTimeout, slowConsumer, true)
		beats(t, body, 5)
		other.takes(live("still"))
		if got := line(t, body); got != "data: still" {
			t.Errorf("got %q", got)
		}
	})
}
