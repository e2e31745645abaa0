package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tidegate/internal/gateway/token"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// Peers are the other gateways of a cluster. Its methods may be called
// concurrently.
type Peers interface {
	// Node is the name of this node: 8 letters and digits, drawn at each start, and
	// after it was cut off. It is part of every token, so that every node knows where
	// a token's stream is.
	Node() string
	// Others lists the other nodes that are alive, sorted.
	Others() []string
	// Ask sends a request of the internal API to another node. It returns
	// wire.ErrNoNode if there is no such node.
	Ask(ctx context.Context, node string, r wire.PeerRequest) (wire.PeerAnswer, error)
}

// SessionStore keeps records of open streams outside of the process: if this node
// fails, another one takes its orphaned sessions over and sends their disconnects. Its
// methods may be called concurrently.
type SessionStore interface {
	// Put records a stream before its connect callback is posted. It returns when the
	// record is durable; or when ctx ends, and the record is written later.
	Put(ctx context.Context, r wire.SessionRecord)
	// Delete removes a record: the stream's disconnect was delivered, or the stream
	// was never accepted. It does not wait.
	Delete(node, token string)
	// Ready is false while the store cannot be reached. No disconnects are delivered
	// then: other nodes may soon deliver them. It must not block.
	Ready() bool
}

// fromPeer marks the context of a request that another node has relayed. It is answered
// here, and never relayed again.
type fromPeer struct{}

func isFromPeer(ctx context.Context) bool { return ctx.Value(fromPeer{}) != nil }

// AnswerPeer answers a request of another node. It may be called concurrently.
func (g *Gateway) AnswerPeer(ctx context.Context, r wire.PeerRequest) wire.PeerAnswer {
	request, err := http.NewRequestWithContext(context.WithValue(ctx, fromPeer{}, true), r.Method, r.Target, strings.NewReader(string(r.Body)))
	if err != nil {
		return peerError(wire.Errorf(http.StatusBadRequest, wire.CodeParameter, "Invalid target"))
	}
	if r.ContentType != "" {
		request.Header.Set("Content-Type", r.ContentType)
	}
	w := &peerWriter{header: make(http.Header)}
	g.internalMux().ServeHTTP(w, request)
	return wire.PeerAnswer{Status: w.status, RetryAfter: w.header.Get("Retry-After"), Body: w.body}
}

func peerError(err error) wire.PeerAnswer {
	w := &peerWriter{header: make(http.Header)}
	wire.WriteError(w, err)
	return wire.PeerAnswer{Status: w.status, Body: w.body}
}

// peerWriter collects an answer for another node.
type peerWriter struct {
	header http.Header
	status int
	body   []byte
}

func (w *peerWriter) Header() http.Header { return w.header }

func (w *peerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *peerWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, b...)
	return len(b), nil
}

// holder returns the node that holds the stream of a token; "" if it is this one.
func (g *Gateway) holder(ctx context.Context, text string) string {
	if g.opts.Peers == nil || isFromPeer(ctx) {
		return ""
	}
	t, node, ok := token.Parse(text)
	if !ok || node == "" || node == g.identity().Name || g.table.find(t) != nil {
		return ""
	}
	return node
}

// maxAskTime bounds how long another node is waited for.
const maxAskTime = 5 * time.Second

// ask asks another node. It returns the body of a 2xx, and any other answer as an error.
func (g *Gateway) ask(ctx context.Context, node string, r wire.PeerRequest) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, maxAskTime)
	defer cancel()
	a, err := g.opts.Peers.Ask(ctx, node, r)
	switch {
	case errors.Is(err, wire.ErrNoNode):
		return nil, errNoToken
	case err != nil:
		g.opts.Log.Warn("another node does not answer", "node", node, "cause", err)
		return nil, topic.ErrUnavailable
	case a.Status/100 == 2:
		return a.Body, nil
	}
	var answer struct {
		Error *wire.Error `json:"error"`
	}
	if json.Unmarshal(a.Body, &answer) != nil || answer.Error == nil {
		return nil, topic.ErrUnavailable
	}
	answer.Error.Status = a.Status
	if seconds, err := strconv.Atoi(a.RetryAfter); err == nil {
		answer.Error.RetryAfter = time.Duration(seconds) * time.Second
	}
	return nil, answer.Error
}

// relay answers a request with the answer of another node.
func (g *Gateway) relay(w http.ResponseWriter, r *http.Request, node string, body []byte) {
	answer, err := g.ask(r.Context(), node, wire.PeerRequest{
		Method: r.Method, Target: r.URL.RequestURI(), ContentType: r.Header.Get("Content-Type"), Body: body,
	})
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	wire.NoSniff(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(answer)
}

// sendElsewhere relays a message for a token to the node that holds its stream.
func (g *Gateway) sendElsewhere(ctx context.Context, node string, body []byte) (wire.SendAnswer, error) {
	var answer wire.SendAnswer
	got, err := g.ask(ctx, node, wire.PeerRequest{
		Method: http.MethodPost, Target: "/internal/send", ContentType: "application/json", Body: body,
	})
	if err == nil && json.Unmarshal(got, &answer) != nil {
		err = topic.ErrUnavailable
	}
	return answer, err
}
