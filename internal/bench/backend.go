package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// backend answers the gateway's callbacks: it accepts every client, subscribes its token to the topic
// that the request names, and keeps the token until the disconnect. It checks that each connect is
// followed by exactly one disconnect.
type backend struct {
	listener net.Listener  // set once
	news     chan struct{} // size 1: a disconnect has come

	mu     sync.Mutex
	tokens map[int]string // guarded by mu, like all below: tokens of open streams, by id
	ids    map[string]int // ids of open streams, by token
	left   int            // disconnects
	leftAt time.Time      // of the newest
	slow   int            // disconnects of slow consumers
	faults []string       // some of what was wrong
}

// listenBackend binds the address. Callbacks wait until run.
func listenBackend(ctx context.Context, address string) (*backend, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--callback-listen: %w", err)
	}
	return &backend{
		listener: listener,
		news:     make(chan struct{}, 1),
		tokens:   make(map[int]string),
		ids:      make(map[string]int),
	}, nil
}

// callbackURL is the value for --callback-url of the gateway.
func (b *backend) callbackURL() string { return "http://" + b.listener.Addr().String() + "/callback" }

const (
	// subscribers is how many connections for subscribing are kept.
	subscribers = 128
	maxCallback = 1 << 20
	// closePatience is the time that callbacks in progress get at the end.
	closePatience = time.Second
)

// run answers callbacks until ctx ends. It returns an error if the listener fails
// before.
func (b *backend) run(ctx context.Context, a api) error {
	pool := newSenders(a, subscribers)
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.callback(ctx, pool, w, r) }),
		ReadHeaderTimeout: 10 * time.Second,
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		// The answer to the last callback may not be out yet.
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(b.listener)
	if !stop() {
		<-closed
	}
	pool.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("answer callbacks: %w", err)
}

// callback is the part of a callback's body that bench uses.
type callback struct {
	Action  string `json:"action"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
	Token   string `json:"token"`
	Request struct {
		URL string `json:"url"`
	} `json:"request"`
}

func (b *backend) callback(ctx context.Context, pool *senders, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	var c callback
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	if err == nil {
		err = b.take(ctx, pool, c)
	}
	if err != nil {
		b.fault(fmt.Sprintf("callback: %v", err))
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	_, _ = io.WriteString(w, "{}")
}

func (b *backend) take(ctx context.Context, pool *senders, c callback) error {
	if c.Action == "disconnect" {
		b.leave(c)
		return nil
	}
	target, err := url.Parse(c.Request.URL)
	if err != nil {
		return err
	}
	query := target.Query()
	id, err := strconv.Atoi(query.Get("id"))
	if err != nil {
		return fmt.Errorf("%q is not a request of bench", c.Request.URL)
	}
	b.enter(id, c.Token)
	topic := query.Get("topic")
	if topic == "" {
		return nil
	}
	request, err := json.Marshal(map[string]any{"token": c.Token, "topics": []string{topic}})
	if err != nil {
		return err
	}
	return pool.post(ctx, subscribePath, request)
}

func (b *backend) enter(id int, token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.ids[token]; known {
		b.faultLocked("a token was announced twice")
	}
	b.tokens[id] = token
	b.ids[token] = id
}

// The reason and detail of a stream whose client was too slow.
const reasonFailed, detailSlow = "error", "slow_consumer"

func (b *backend) leave(c callback) {
	b.mu.Lock()
	if id, known := b.ids[c.Token]; known {
		delete(b.ids, c.Token)
		if b.tokens[id] == c.Token {
			delete(b.tokens, id)
		}
		b.left++
		b.leftAt = time.Now()
		if c.Reason == reasonFailed && c.Detail == detailSlow {
			b.slow++
		}
	} else {
		b.faultLocked("a disconnect came twice, or without its connect")
	}
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// maxFaults is how many faults are kept, to be shown.
const maxFaults = 10

func (b *backend) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faultLocked(what)
}

func (b *backend) faultLocked(what string) {
	if len(b.faults) < maxFaults {
		b.faults = append(b.faults, what)
	}
}

// waitLeft waits for the disconnects of all streams, and returns the time of the last one. If none
// comes for the time of patience, missing ones are a fault.
func (b *backend) waitLeft(ctx context.Context, patience time.Duration) time.Time {
	all := b.wait(ctx, patience, func() bool { return len(b.ids) == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if !all && ctx.Err() == nil {
		b.faultLocked(fmt.Sprintf("%d clients left, and no disconnect callback came", len(b.ids)))
	}
	return b.leftAt
}

// waitSlow waits until so many streams were ended as slow consumers, and
// returns how many streams have been ended, for that and for other reasons.
func (b *backend) waitSlow(ctx context.Context, count int, patience time.Duration) (slow, others int) {
	b.wait(ctx, patience, func() bool { return b.slow >= count })
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slow, b.left - b.slow
}

// wait waits until done returns true, or until no disconnect has come for the time of patience. It
// calls done with mu locked.
func (b *backend) wait(ctx context.Context, patience time.Duration, done func() bool) bool {
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for {
		b.mu.Lock()
		is := done()
		b.mu.Unlock()
		if is {
			return true
		}
		select {
		case <-b.news:
			quiet.Reset(patience)
		case <-quiet.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// tokensOf returns the tokens of the streams 0 to count-1.
func (b *backend) tokensOf(count int) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]string, count)
	for id := range list {
		if list[id] = b.tokens[id]; list[id] == "" {
			return nil, fmt.Errorf("stream %d is open, but bench received no callback for it; check that the gateway calls --callback-listen", id)
		}
	}
	return list, nil
}

// wrong lists the faults of callbacks.
func (b *backend) wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}
