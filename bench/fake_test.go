package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// fakeGateway has the shape of a gateway with tokens only, and a lie: what it
// does with some events that it says it has taken.
type fakeGateway struct {
	callbackURL string
	lie         string

	mu      sync.Mutex
	streams map[string]*fakeStream // guarded by mu
}

type fakeStream struct {
	frames chan string   // to be written
	gone   chan struct{} // closed when the client has left
	held   string        // owned by send: for lie "swap"
	sends  int           // owned by send
}

// fakeMain is the process of a fake gateway: it takes the flags that a gateway is
// started with, and --lie.
func fakeMain(args []string) int {
	g := &fakeGateway{streams: make(map[string]*fakeStream)}
	fs := flag.NewFlagSet("gateway", flag.ExitOnError)
	for _, ignored := range []string{"listen", "internal-listen", "log-format", "drain-time"} {
		fs.String(ignored, "", "")
	}
	fs.StringVar(&g.callbackURL, "callback-url", "", "")
	fs.StringVar(&g.lie, "lie", "", "")
	_ = fs.Parse(args) // exits
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return exitError
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /internal/send", g.send)
	mux.HandleFunc("GET /bench/stream", g.stream)
	server := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(os.Stderr, "{\"level\":\"INFO\",\"msg\":\"ready\",\"public\":%q,\"internal\":%q}\n", url, url)
	_ = server.Serve(listener)
	return exitOK
}

func (g *fakeGateway) stream(w http.ResponseWriter, r *http.Request) {
	token := rand.Text()
	s := &fakeStream{frames: make(chan string, 1000), gone: make(chan struct{})}
	g.mu.Lock()
	g.streams[token] = s
	g.mu.Unlock()
	g.tell("connect", token, r)
	defer g.tell("disconnect", token, r)
	if g.lie == "disconnect_twice" {
		defer g.tell("disconnect", token, r)
	}
	defer close(s.gone)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case f := <-s.frames:
			if f == "" {
				return
			}
			fmt.Fprint(w, f)
		case <-r.Context().Done():
			return
		}
	}
}

func (g *fakeGateway) tell(action, token string, r *http.Request) {
	body, _ := json.Marshal(map[string]any{"action": action, "token": token, "request": map[string]any{"url": r.RequestURI}})
	if resp, err := http.Post(g.callbackURL, typeJSON, bytes.NewReader(body)); err == nil {
		_ = resp.Body.Close()
	}
}

func (g *fakeGateway) send(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Token string
		Event struct{ Data string }
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	g.mu.Lock()
	s := g.streams[m.Token]
	g.mu.Unlock()
	if s == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.sends++
	for _, frame := range s.spoil(g.lie, "data: "+m.Event.Data+"\n\n") {
		s.frames <- frame
	}
	fmt.Fprint(w, `{"status":"ok"}`)
}

// spoil tells the lie with the tenth event of a stream.
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
