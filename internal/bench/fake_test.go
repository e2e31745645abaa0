package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// fakeGateway has the shape of a gateway, and a lie: what it does with some
// events that it says it has taken.
type fakeGateway struct {
	callbackURL string
	lie         string
	heartbeat   time.Duration

	mu      sync.Mutex
	streams map[string]*fakeStream   // guarded by mu, by token
	topics  map[string][]*fakeStream // guarded by mu
	history map[string][]string      // guarded by mu, by topic: the id of an event is its number
}

// fakeMain is the process of a fake gateway. It takes the flags that a gateway
// and the program of --limit are started with, and some for its lies.
func fakeMain(args []string) error {
	g := &fakeGateway{streams: make(map[string]*fakeStream), topics: make(map[string][]*fakeStream), history: make(map[string][]string)}
	fs := flag.NewFlagSet("gateway", flag.ExitOnError)
	for _, ignored := range []string{"listen", "internal-listen", "public", "internal", "threads", "log-format", "drain-time", "namespace", "nats-url"} {
		fs.String(ignored, "", "")
	}
	cert, key := fs.String("tls-cert", "", ""), fs.String("tls-key", "", "")
	fs.StringVar(&g.callbackURL, "callback-url", "", "")
	fs.StringVar(&g.lie, "lie", "", "")
	fs.DurationVar(&g.heartbeat, "heartbeat", time.Hour, "")
	_ = fs.Parse(args) // exits
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	public, err1 := net.Listen("tcp", "127.0.0.1:0")
	internal, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%w %w", err1, err2)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	streams := &http.Server{Handler: http.HandlerFunc(g.stream), Protocols: protocols, ConnContext: smallBuffer}
	api := &http.Server{Handler: g.internal()}
	context.AfterFunc(ctx, func() { _ = streams.Close(); _ = api.Close() })
	scheme := "http"
	if *cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(os.Stderr, "{\"level\":\"INFO\",\"msg\":\"ready\",\"public\":\"%s://%s\",\"internal\":\"http://%s\"}\n",
		scheme, public.Addr(), internal.Addr())
	var serving sync.WaitGroup
	serving.Go(func() { _ = api.Serve(internal) })
	if *cert != "" {
		_ = streams.ServeTLS(public, *cert, *key)
	} else {
		_ = streams.Serve(public)
	}
	serving.Wait()
	return nil
}

// smallBuffer has a client that does not read noticed soon.
func smallBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(4 << 10)
	}
	return ctx
}

func (g *fakeGateway) internal() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /internal/send", g.send)
	mux.HandleFunc("POST /internal/subscribe", g.subscribe)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "go_goroutines %d\n", runtime.NumGoroutine())
	})
	return mux
}

func (g *fakeGateway) report(action, token string, r *http.Request, ending ...string) {
	fields := map[string]any{"action": action, "token": token, "request": map[string]any{"url": r.RequestURI}}
	if len(ending) == 2 {
		fields["reason"], fields["detail"] = ending[0], ending[1]
	}
	body, _ := json.Marshal(fields)
	if resp, err := http.Post(g.callbackURL, typeJSON, bytes.NewReader(body)); err == nil {
		_ = resp.Body.Close()
	}
}

func (g *fakeGateway) subscribe(_ http.ResponseWriter, r *http.Request) {
	var m struct {
		Token  string
		Topics []string
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.streams[m.Token]
	for _, topic := range m.Topics {
		g.topics[topic] = append(g.topics[topic], s)
		if after, err := strconv.Atoi(s.lastID); err == nil {
			for _, frame := range g.history[topic][after:] {
				s.send(g.lie, frame)
			}
		}
	}
}

// send answers one message, or each line of a batch.
func (g *fakeGateway) send(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != typeNDJSON {
		body, _ := io.ReadAll(r.Body)
		code, id := g.sendOne(body)
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"status":"ok","id":"%d"}`, id)
		return
	}
	body, _ := io.ReadAll(r.Body)
	for line := range bytes.Lines(body) {
		code, _ := g.sendOne(line)
		fmt.Fprintf(w, "{\"code\":%d}\n", code)
	}
}

func (g *fakeGateway) sendOne(body []byte) (code, id int) {
	var m struct {
		Token, Topic string
		Event        struct{ Data string }
	}
	_ = json.Unmarshal(body, &m)
	frame := "data: " + m.Event.Data + "\n\n"
	g.mu.Lock()
	if m.Topic != "" {
		g.history[m.Topic] = append(g.history[m.Topic], frame)
		id = len(g.history[m.Topic])
	}
	to := slices.Clone(g.topics[m.Topic])
	if s := g.streams[m.Token]; s != nil {
		to = append(to, s)
	}
	if m.Token == everyToken {
		for _, s := range g.streams {
			to = append(to, s)
		}
	}
	g.mu.Unlock()
	if len(to) == 0 && m.Topic == "" && m.Token != everyToken {
		return http.StatusNotFound, 0
	}
	for _, s := range to {
		s.send(g.lie, frame)
	}
	return http.StatusOK, id
}
