package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

func text(items ...stream.Item) string {
	var b strings.Builder
	for _, i := range items {
		b.Write(i.Frame.Block())
	}
	return b.String()
}

// behaviours are what every transport has to do, with the same bytes.
var behaviours = []struct {
	name string
	opts stream.Options
	test func(s *site)
}{
	{"events come one by one", fast, func(s *site) {
		one, response := s.open()
		for i := range 100 {
			e := live(fmt.Sprint(i, strings.Repeat("x", i*i)))
			one.takes(e)
			s.gets(response.Body, text(e))
		}
	}},
	{"events that wait come together", fast, func(s *site) {
		var all []stream.Item
		for i := range 2000 {
			all = append(all, direct(fmt.Sprint(i)))
		}
		s.prepare = func(one *session) { one.takes(all[:500]...) }
		one, response := s.open()
		b := stream.NewBatch().Hold()
		for _, i := range all[500:] {
			if err := one.PushDirect(b, i.Frame); err != nil {
				s.Error(err)
			}
		}
		b.Flush()
		s.gets(iotest.OneByteReader(response.Body), text(all...))
		one.end(closed, nil)
		s.gets(response.Body, "")
		s.wantEnded(one, closed)
		if n := one.Undelivered(); n != 0 {
			s.Errorf("%d undelivered", n)
		}
	}},
	{"a block has a head of its own", fast, func(s *site) {
		one, response := s.open()
		block := live("shared").Frame
		head, rest := block.WithHead([]byte("id: 1\n"), 0)
		b := stream.NewBatch()
		if err := one.PushAll(b, []stream.Item{{Frame: head, Kind: stream.Control}, {Frame: rest, Kind: stream.Replay}}); err != nil {
			s.Error(err)
		}
		b.Flush()
		s.gets(response.Body, "id: 1\ndata: shared\n\n")
	}},
	{"a large event", fast, func(s *site) {
		one, response := s.open()
		large, small := live(strings.Repeat("x", 1<<20)), live("small")
		one.takes(large)
		one.takes(frame("after", stream.Replay))
		s.gets(response.Body, text(large)+"data: after\n\n")
		one.takes(small)
		s.gets(response.Body, text(small))
	}},
	{"a clean end", fast, func(s *site) {
		one, response := s.open()
		large, bye := frame(strings.Repeat("x", 4<<20), stream.Replay), stream.FrameOf([]byte(": bye\n\n"), 0)
		one.takes(large, direct("last"))
		if !one.end(closed, bye) {
			s.Error("End = false")
		}
		if got, want := all(s, response.Body), text(large, direct("last"))+": bye\n\n"; got != want {
			s.Errorf("got %d bytes, want %d", len(got), len(want))
		}
		s.wantEnded(one, closed)
	}},
	{"an end before it begins", fast, func(s *site) {
		s.prepare = func(one *session) {
			one.takes(direct("only"))
			one.end(closed, nil)
		}
		response, err := s.client.Get(s.server.URL)
		if err != nil {
			s.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if got, want := all(s, response.Body), string(opening.Block())+"data: only\n\n"; got != want {
			s.Errorf("got %q, want %q", got, want)
		}
		s.wantEnded(<-s.sessions, closed)
	}},
	{"a cut of an idle stream", fast, func(s *site) {
		one, response := s.open()
		one.abort(drained)
		s.wantCut(response.Body)
		s.wantEnded(one, drained)
	}},
	{"a cut amid a write", fast, func(s *site) {
		one, response := s.open()
		one.takes(huge())
		s.gets(response.Body, "data: xxx")
		one.abort(drained)
		s.wantEnded(one, drained)
		s.wantCut(response.Body)
	}},
	{"all are cut", fast, func(s *site) {
		one, response := s.open()
		s.engine.CutAll()
		s.wantCut(response.Body)
		s.wantEnded(one, drained)
	}},
	{"heartbeats", stream.Options{Heartbeat: 40 * time.Millisecond}, func(s *site) {
		one, response := s.open()
		s.gets(response.Body, strings.Repeat(": heartbeat\n\n", 5))
		one.end(closed, nil)
		if got := strings.ReplaceAll(all(s, response.Body), ": heartbeat\n\n", ""); got != "" {
			s.Errorf("got %q between heartbeats", got)
		}
		s.wantEnded(one, closed)
	}},
	{"a largest age", stream.Options{MaxAge: time.Millisecond}, func(s *site) {
		s.prepare = func(one *session) { one.age = 200 * time.Millisecond }
		one, response := s.open()
		if got := all(s, response.Body); got != "" {
			s.Errorf("got %q", got)
		}
		s.wantEnded(one, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailMaxAge})
	}},
	{"a client that leaves", fast, func(s *site) {
		one, response := s.open()
		_ = response.Body.Close()
		s.wantEnded(one, clientClosed)
	}},
	{"a client that leaves its socket full", fast, func(s *site) {
		one, response := s.open()
		one.takes(direct("1"))
		one.takes(huge(), direct("2"))
		s.gets(response.Body, "data: 1\n\ndata: xxx")
		_ = response.Body.Close()
		s.wantEnded(one, clientClosed)
		if n := one.Undelivered(); n != 1 {
			s.Errorf("%d undelivered, want 1", n)
		}
	}},
	{"a client that does not read what is pushed", fast, func(s *site) {
		one, response := s.open()
		var err error
		for pushed := 0; err == nil; pushed++ {
			if err = one.push(live(strings.Repeat("x", 32<<10))); pushed > 2000 {
				s.Fatal("64 MiB were taken for a client that reads nothing")
			}
		}
		if !errors.Is(err, stream.ErrSlow) {
			s.Errorf("push = %v, want ErrSlow", err)
		}
		s.wantEnded(one, slowConsumer)
		s.wantCut(response.Body)
	}},
	{"a client that does not read", stream.Options{WriteTimeout: 200 * time.Millisecond}, func(s *site) {
		one, response := s.open()
		one.takes(huge())
		s.wantEnded(one, slowConsumer)
		s.wantCut(response.Body)
	}},
}

func TestEveryTransportDoesTheSame(t *testing.T) {
	t.Parallel()
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			for _, b := range behaviours {
				t.Run(b.name, func(t *testing.T) {
					t.Parallel()
					b.test(newSite(t, tr, b.opts))
				})
			}
		})
	}
}
