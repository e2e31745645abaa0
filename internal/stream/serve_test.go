package stream_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tidegate/internal/stream"
)

func TestHeadersGoOutAtOnceWithTheFirstBlockBehind(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		start := time.Now()
		_, response := n.open()
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" || time.Since(start) != 0 {
			t.Errorf("%d %q after %v", response.StatusCode, response.Header.Get("Content-Type"), time.Since(start))
		}
		n.first = stream.FrameOf([]byte("retry: 5\n\n"), 0)
		s, response := n.open()
		s.takes(live("1"))
		body := bufio.NewReader(response.Body)
		if got := line(t, body) + ", " + line(t, body); got != "retry: 5, data: 1" || time.Since(start) != 0 {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
	})
}

func TestFramesComeInTheOrderOfPush(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		n.prepare = func(s *session) {
			s.takes(direct("0"))
			if err := s.PushAll(nil, []stream.Item{frame("1", stream.Replay), frame("2", stream.Control)}); err != nil { // not served: nothing gets ready
				t.Error(err)
			}
		}
		s, response := n.open()
		body := bufio.NewReader(response.Body)
		for i := 3; i < 200; i++ {
			s.takes(live(fmt.Sprint(i)))
			if i%7 == 0 {
				synctest.Wait()
			}
		}
		for i := range 200 {
			if got, want := line(t, body), fmt.Sprint("data: ", i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		synctest.Wait()
		if got := s.Pending(); got != 0 {
			t.Errorf("%d bytes pending when all is read", got)
		}
	})
}

func TestEndFlushesAndThenSaysFarewell(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		start := time.Now()
		for i := range 3 {
			s.takes(direct(fmt.Sprint(i)))
		}
		s.takes(live(strings.Repeat("x", 200_000)))
		if !s.end(closed, stream.FrameOf([]byte("retry: 7\n\n"), 0)) {
			t.Error("End = false for the first reason")
		}
		if s.end(slowConsumer, stream.FrameOf([]byte("no"), 0)) {
			t.Error("End = true for a second reason")
		}
		if err := s.push(live("too late")); !errors.Is(err, stream.ErrEnded) {
			t.Errorf("Push after End: %v, want ErrEnded", err)
		}
		if err := s.push(frame("too late", stream.Replay)); !errors.Is(err, stream.ErrEnded) {
			t.Errorf("PushAll after End: %v, want ErrEnded", err)
		}
		got := all(t, response.Body)
		if want := "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: " + strings.Repeat("x", 200_000) + "\n\nretry: 7\n\n"; got != want {
			t.Errorf("got %d bytes, want %d: %.60q … %q", len(got), len(want), got, got[max(0, len(got)-30):])
		}
		s.ended(start, 0, closed, false)
		if n := s.Undelivered(); n != 0 {
			t.Errorf("%d undelivered, want 0", n)
		}
	})
}

func TestAStreamThatIsEndedBeforeItIsServedIsServedAllTheSame(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		n.prepare = func(s *session) {
			s.takes(direct("1"))
			s.end(closed, stream.FrameOf([]byte(": bye\n\n"), 0))
		}
		start := time.Now()
		s, response := n.open()
		if got, want := all(t, response.Body), "data: 1\n\n: bye\n\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.ended(start, 0, closed, false)
	})
}

func TestAbortCuts(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		start := time.Now()
		s.takes(direct("taken"))
		if got := line(t, bufio.NewReader(response.Body)); got != "data: taken" {
			t.Errorf("got %q", got)
		}
		s.stick()
		s.takes(direct("waits"))
		s.abort(closed)
		s.ended(start, 0, closed, true)
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("the client saw an end, want a cut")
		}
		if n := s.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want the one that waited", n)
		}
	})
}

func TestAbortKeepsTheFirstReason(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		start := time.Now()
		s.takes(live(strings.Repeat("x", large)))
		s.end(closed, nil)
		synctest.Wait()
		s.abort(slowConsumer)
		s.ended(start, 0, closed, true)
	})
}

func TestAbortBeforeServe(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		n.prepare = func(s *session) {
			s.takes(direct("1"))
			s.Abort(nil, closed)
		}
		start := time.Now()
		response, err := n.client.Get("http://pipe/")
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
		}
		if err == nil {
			t.Error("the client saw an end, want a cut")
		}
		s := <-n.sessions
		s.ended(start, 0, closed, true)
		if n := s.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want 1", n)
		}
	})
}

func TestAClientThatLeavesIsNoticedAtOnce(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		if got := line(t, bufio.NewReader(response.Body)); got != ": heartbeat" {
			t.Errorf("got %q", got)
		}
		start := time.Now()
		_ = response.Body.Close()
		s.ended(start, 0, clientClosed, true)
	})
}

func TestAClientThatLeavesWhileAWriteIsStuckIsNoticedAtOnce(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		start := time.Now()
		s.stick()
		s.takes(direct("1"))
		s.takes(direct("2"))
		time.Sleep(time.Second)
		s.leave() // as when the connection's reader sees its end; the write does not
		s.ended(start, time.Second, clientClosed, true)
		if n := s.Undelivered(); n != 2 {
			t.Errorf("%d undelivered, want both that waited", n)
		}
	})
}

// TestAByteAtATime is a client that reads single bytes.
func TestAByteAtATime(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		var want strings.Builder
		for i := range 50 {
			f := live(strings.Repeat(fmt.Sprint(i), 1000))
			want.Write(f.Frame.Block())
			s.takes(f)
		}
		s.end(closed, nil)
		if got := all(t, iotest.OneByteReader(response.Body)); got != want.String() {
			t.Errorf("got %d bytes, want %d", len(got), want.Len())
		}
	})
}
