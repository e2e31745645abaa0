package eventsource

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tidegate/internal/leftover"
	"tidegate/sse"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

// blocks parses a text up to its end.
func blocks(text string) (found []Block, err error) {
	r := bufio.NewReaderSize(strings.NewReader(text), 64)
	for {
		b, err := readBlock(r)
		if err != nil {
			return found, err
		}
		found = append(found, b)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	found, err := blocks(": beat\n\nid: 1\n\nid: 2\nevent: a\ndata: x\ndata:\ndata: " + long + "\r\n\r\nevent: lost\n\ndata: cut off\n")
	want := []Block{{ID: "1", HasID: true}, {ID: "2", HasID: true, Name: "a", Data: "x\n\n" + long, HasData: true}}
	if err != io.EOF || fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("read %v, %v, want %v", found, err, want)
	}
	if _, err := blocks("data: " + strings.Repeat("x", MaxBlock+1) + "\n\n"); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line that is too long: %v", err)
	}
	if _, err := blocks(strings.Repeat("data: "+long+"\n", MaxBlock/500+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a block that is too long: %v", err)
	}
}

// FuzzAgainstTheClientOfTheProject: two independent parsers must agree on well-formed
// text.
func FuzzAgainstTheClientOfTheProject(f *testing.F) {
	f.Add([]byte("id: 1\nevent: a\ndata: x\n\n: c\n\nid:2\n\ndata\n\n"))
	f.Add([]byte("data:  two\ndata: lines\nretry: 10\n\nevent:\ndata: z\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.ContainsAny(text, "\r\x00") || !utf8.Valid(text) || bytes.HasPrefix(text, []byte("\uFEFF")) {
			return // no server of the project sends this
		}
		found, err := blocks(string(text))
		if err != io.EOF {
			t.Fatalf("the end is %v", err)
		}
		id, i := "", 0
		next := func() (Block, bool) {
			for ; i < len(found); i++ {
				if found[i].HasID {
					id = found[i].ID
				}
				if found[i].HasData {
					i++
					return found[i-1], true
				}
			}
			return Block{}, false
		}
		for ev, err := range sse.NewDecoder(bytes.NewReader(text), sse.DecoderOptions{}).Events() {
			if err != nil {
				t.Fatal(err)
			}
			b, ok := next()
			name := b.Name
			if name == "" {
				name = "message"
			}
			if !ok || b.Data != ev.Data || name != ev.Name || id != ev.ID {
				t.Fatalf("read %+v with id %q, the client of the project has %+v", b, id, ev)
			}
		}
		if b, more := next(); more {
			t.Fatalf("read %+v, which the client of the project has not", b)
		}
	})
}

// serve returns the URL of a server that answers every request with handle.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAnswersOtherThanStreams(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not now: "+r.Header.Get("Last-Event-ID"), http.StatusServiceUnavailable)
	})
	_, err := Open(t.Context(), Request{Base: base, Target: "/x", LastEventID: "17", Wait: time.Minute})
	status, ok := errors.AsType[*StatusError](err)
	if !ok || status.Status != 503 || !strings.Contains(status.Body, "not now: 17") {
		t.Errorf("got %v, want the status", err)
	}
}

// TestNextTimesOut: silence, the given time and the end of the context end Next.
func TestNextTimesOut(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for _, test := range []struct {
		idle  time.Duration
		until time.Duration // 0 for never
		want  error
	}{
		{20 * time.Millisecond, 0, ErrIdle},
		{time.Hour, 20 * time.Millisecond, ErrUntil},
		{0, 0, nil}, // any other: ctx ends
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Open(ctx, Request{Base: base, Target: "/", Wait: time.Minute, Idle: test.idle})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := s.Next(time.Time{}); err != nil || b.Data != "1" {
			t.Errorf("first block %+v, %v", b, err)
		}
		var until time.Time
		if test.until > 0 {
			until = time.Now().Add(test.until)
		}
		if test.want == nil {
			cancel()
		}
		if _, err := s.Next(until); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("idle %s, until %s: %v, want %v", test.idle, test.until, err, test.want)
		}
		s.Close()
		cancel()
	}
}
