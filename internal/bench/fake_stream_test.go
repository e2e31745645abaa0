package bench

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// fakeStream is one stream of a fake gateway.
type fakeStream struct {
	frames chan string   // size: how far a client may be behind
	slow   chan struct{} // closed when it is farther behind
	out    *http.ResponseController
	lastID string
	begun  atomic.Bool // the headers are out

	mu    sync.Mutex
	held  string // guarded by mu, as all below: for lie "swap"
	sends int
	ended bool
}

func (g *fakeGateway) stream(w http.ResponseWriter, r *http.Request) {
	token := rand.Text()
	s := &fakeStream{frames: make(chan string, 16), slow: make(chan struct{}), out: http.NewResponseController(w), lastID: r.Header.Get("Last-Event-ID")}
	g.mu.Lock()
	g.streams[token] = s
	g.mu.Unlock()
	g.report("connect", token, r)
	ending := []string{"client_closed", ""}
	defer func() {
		if g.lie == "disconnect_twice" {
			g.report("disconnect", token, r, ending...)
		}
		g.report("disconnect", token, r, ending...)
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	beat := time.NewTicker(g.heartbeat)
	defer beat.Stop()
	_ = s.out.Flush()
	s.begun.Store(true)
	for {
		var err error
		select {
		case f := <-s.frames:
			if f == "" {
				return
			}
			_, err = fmt.Fprint(w, f)
		case <-beat.C:
			_, err = fmt.Fprint(w, ": heartbeat\n\n")
		case <-s.slow:
			ending = []string{reasonFailed, detailSlow}
			return
		case <-r.Context().Done():
			// A write that a slow client has blocked ends the connection too.
			select {
			case <-s.slow:
				ending = []string{reasonFailed, detailSlow}
			default:
			}
			return
		}
		if err == nil {
			err = s.out.Flush()
		}
		if err != nil {
			continue // the reason is there, or soon will be
		}
	}
}

// send gives the stream what the lie makes of an event.
func (s *fakeStream) send(lie, frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends++
	for _, f := range s.spoil(lie, frame) {
		if s.ended {
			return
		}
		select {
		case s.frames <- f:
		case <-time.After(s.patience()):
			s.ended = true
			close(s.slow)
			_ = s.out.SetWriteDeadline(time.Now())
		}
	}
}

// patience is how long a client may be behind. One that has not got its headers is
// subscribed already, and cannot help it.
func (s *fakeStream) patience() time.Duration {
	if s.begun.Load() {
		return time.Second
	}
	return 10 * time.Second
}

// spoil adds the fault to the tenth event of a stream. The caller holds mu.
func (s *fakeStream) spoil(lie, frame string) []string {
	if s.held != "" {
		held := s.held
		s.held = ""
		return []string{frame, held}
	}
	if s.sends != 10 {
		return []string{frame}
	}
	switch lie {
	case "lose":
		return nil
	case "repeat":
		return []string{frame, frame}
	case "swap":
		s.held = frame
		return nil
	case "reset":
		return []string{"event: reset\ndata: {\"reason\":\"history_lost\"}\n\n", frame}
	case "cut":
		return []string{frame, ""}
	}
	return []string{frame}
}
