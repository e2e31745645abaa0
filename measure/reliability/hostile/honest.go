package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/harness"
)

// Honest clients: listeners that stay, one client that opens streams and leaves, and one
// that sends. The last two act again a pause after each answer.
const (
	listeners    = 2
	connectPause = 25 * time.Millisecond
	sendPause    = 10 * time.Millisecond

	// honestPatience is how long an honest client waits; then it counts as rejected.
	honestPatience = 20 * time.Second
	// settle is how long after the last send the listeners may take to receive it.
	settle = 30 * time.Second
)

// faults collects broken promises. It is safe for concurrent use.
type faults struct {
	mu       sync.Mutex
	count    int
	examples []string // guarded by mu, like count
}

func (f *faults) add(format string, args ...any) {
	const most = 10
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; len(f.examples) < most {
		f.examples = append(f.examples, fmt.Sprintf(format, args...))
	}
}

// honest are the honest clients of a server.
type honest struct {
	server *server
	client *http.Client // for /metrics and other requests
	topic  string
	target string // path and query of a stream of that topic
	other  string // the same with another topic, by number

	stop, stopSending  context.CancelFunc
	listening, sending sync.WaitGroup

	mu        sync.Mutex
	now       phase // the current phase; guarded by mu, like the fields below
	figures   [phases]figures
	lastID    string
	opened    int          // number of connects
	next      int          // number of the next event
	answered  []int        // numbers of the events that were answered
	numbers   [][]int      // by listener: the numbers that it received
	ended     int          // streams of listeners that ended
	connected map[int]bool // listeners that have had a stream
}

type phase int

const (
	baseline phase = iota
	underAttack
	recovering
	phases
)

// figures are the measurements of one phase.
type figures struct{ connects, sends latencies }

// latencies are the times that clients waited. A client that waits does not send more
// requests meanwhile, so add counts those requests too, with the rest of the wait.
type latencies []time.Duration

func (w *latencies) add(took, pause time.Duration) {
	for ; took > 0; took -= max(pause, took/1000) {
		*w = append(*w, took)
	}
}

func newHonest(s *server, mode string) *honest {
	h := &honest{
		server: s, topic: "load:honest", target: "/x?topic=load:honest", other: "/x?topic=load:honest&topic=load:other-%d",
		client:  &http.Client{Timeout: honestPatience, Transport: &http.Transport{DisableCompression: true}},
		numbers: make([][]int, listeners), connected: map[int]bool{},
	}
	if mode == harness.Serve { // serve accepts only watchers
		h.topic, h.target = "version:honest", "/api/sse/utils/version?request_id=honest"
		h.other = "/api/sse/utils/version?request_id=other-%d"
	}
	return h
}

// start starts the honest clients and returns when each listener has its stream.
func (h *honest) start(ctx context.Context) error {
	ctx, h.stop = context.WithCancel(ctx)
	for i := range listeners {
		h.listening.Go(func() { h.listen(ctx, i) })
	}
	for begun := time.Now(); ; {
		h.mu.Lock()
		connected := len(h.connected)
		h.mu.Unlock()
		if connected == listeners {
			break
		}
		if !api.Sleep(ctx, 10*time.Millisecond) || time.Since(begun) > honestPatience {
			return errors.New("the honest listeners get no stream before the attack")
		}
	}
	ctx, h.stopSending = context.WithCancel(ctx)
	h.sending.Go(func() { h.repeat(ctx, sendPause, h.send) })
	h.sending.Go(func() { h.repeat(ctx, connectPause, h.connect) })
	return nil
}

func (h *honest) setPhase(p phase) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = p
}

func (h *honest) repeat(ctx context.Context, pause time.Duration, do func(ctx context.Context) error) {
	for api.Sleep(ctx, pause) {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			h.server.faults.add("%v", err)
		}
	}
}

// send sends one event without retrying.
func (h *honest) send(ctx context.Context) error {
	h.mu.Lock()
	p, number := h.now, h.next
	h.next++ // a rejected event may still be delivered
	h.mu.Unlock()
	message, err := json.Marshal(map[string]any{"topic": h.topic, "event": map[string]string{"data": strconv.Itoa(number)}})
	if err != nil {
		return err
	}
	begun := time.Now()
	var answer struct{ ID string }
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), honestPatience) // otherwise it would be unknown whether the server took the event
	defer cancel()
	if err := h.server.api.Post(ctx, "/internal/send", message, &answer); err != nil {
		return fmt.Errorf("a send of an honest client was rejected after %s: %w", time.Since(begun).Round(time.Millisecond), err)
	}
	took := time.Since(begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered = append(h.answered, number)
	h.figures[p].sends.add(took, sendPause)
	return nil
}

// connect opens a stream on a new connection, waits for its position and leaves.
func (h *honest) connect(ctx context.Context) error {
	h.mu.Lock()
	p, number := h.now, h.opened
	h.opened++
	h.mu.Unlock()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, honestPatience)
	defer cancel()
	r, err := h.open(ctx, fmt.Sprintf(h.other, number), "")
	if err == nil {
		defer r.Close()
		err = r.untilID()
	}
	if err != nil {
		return fmt.Errorf("a connect of an honest client was rejected after %s: %w", time.Since(begun).Round(time.Millisecond), err)
	}
	took := time.Since(begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.figures[p].connects.add(took, connectPause)
	return nil
}

// open opens a stream on a new connection.
func (h *honest) open(ctx context.Context, target, lastID string) (*reader, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.url(target), nil)
	if err != nil {
		return nil, err
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the server is our own
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		_ = response.Body.Close()
		return nil, fmt.Errorf("%d: %s", response.StatusCode, text)
	}
	return newReader(response.Body), nil
}

// listen follows the topic and reconnects as a browser does when its stream ends.
func (h *honest) listen(ctx context.Context, i int) {
	lastID := ""
	for {
		err := h.follow(ctx, i, &lastID)
		if ctx.Err() != nil {
			return
		}
		h.mu.Lock()
		h.ended++
		h.mu.Unlock()
		if _, reset := errors.AsType[resetError](err); reset {
			h.server.faults.add("listener %d received a reset", i)
		}
		api.Sleep(ctx, 100*time.Millisecond)
	}
}

type resetError struct{}

func (resetError) Error() string { return "reset" }

func (h *honest) follow(ctx context.Context, i int, lastID *string) error {
	r, err := h.open(ctx, h.target, *lastID)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		b, err := r.next()
		if err != nil {
			return err
		}
		if b.id != "" {
			*lastID = b.id
		}
		if b.name == "reset" {
			return resetError{}
		}
		h.mu.Lock()
		h.connected[i] = true
		h.lastID = *lastID
		if number, err := strconv.Atoi(b.data); err == nil {
			h.numbers[i] = append(h.numbers[i], number)
		}
		h.mu.Unlock()
	}
}

// id returns the last id of a listener.
func (h *honest) id() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lastID
}
