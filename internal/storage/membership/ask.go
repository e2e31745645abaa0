package membership

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/wire"
)

// A request and its answer are the bodies as they are; the rest is in headers.
const (
	headerMethod      = "Sl-Method"
	headerTarget      = "Sl-Target"
	headerContentType = "Sl-Content-Type"
	headerStatus      = "Sl-Status"
	headerRetryAfter  = "Sl-Retry-After"
	headerTooLarge    = "Sl-Too-Large" // bytes of an answer that could not be sent
)

// subscribeDelay is how long it can take until all servers know of a new subscription.
const subscribeDelay = 50 * time.Millisecond

// Ask sends a request to another node and returns the answer. The error is
// [wire.ErrNoNode], at once, if there is no such node. After any other error the
// node may have carried the request out. It says that the
// engine is away, or that no answer came before ctx ended or AskTimeout had passed. Or the
// request or its answer is larger than NATS takes.
func (n *Nodes) Ask(ctx context.Context, node string, r wire.PeerRequest) (wire.PeerAnswer, error) {
	n.asked.Add(1)
	if !isNode(node) {
		return wire.PeerAnswer{}, wire.ErrNoNode
	}
	m := natsgo.NewMsg(n.askSubject(node))
	m.Header.Set(headerMethod, r.Method)
	m.Header.Set(headerTarget, r.Target)
	if r.ContentType != "" {
		m.Header.Set(headerContentType, r.ContentType)
	}
	m.Data = r.Body
	if size, limit := payloadSize(m), n.e.Conn().MaxPayload(); size > limit {
		return wire.PeerAnswer{}, fmt.Errorf("ask node %s: the request has %d bytes, and NATS takes %d: raise its max_payload", node, size, limit)
	}
	ctx, cancel := context.WithTimeout(ctx, n.opts.AskTimeout)
	defer cancel()
	reply, err := n.request(ctx, node, m)
	if errors.Is(err, natsgo.ErrNoResponders) {
		return wire.PeerAnswer{}, wire.ErrNoNode
	}
	if err != nil {
		return wire.PeerAnswer{}, fmt.Errorf("ask node %s: %w", node, err)
	}
	return parseAnswer(node, reply)
}

// request tries once more if nobody answers for a node that should be alive.
func (n *Nodes) request(ctx context.Context, node string, m *natsgo.Msg) (*natsgo.Msg, error) {
	reply, err := n.e.Conn().RequestMsgWithContext(ctx, m)
	if !errors.Is(err, natsgo.ErrNoResponders) || !n.alive(node) {
		return reply, err
	}
	select {
	case <-time.After(subscribeDelay):
	case <-ctx.Done():
		return nil, err
	}
	return n.e.Conn().RequestMsgWithContext(ctx, m)
}

func parseAnswer(node string, m *natsgo.Msg) (wire.PeerAnswer, error) {
	if size := m.Header.Get(headerTooLarge); size != "" {
		return wire.PeerAnswer{}, fmt.Errorf("ask node %s: its answer has %s bytes, more than NATS takes: raise its max_payload", node, size)
	}
	status, err := strconv.Atoi(m.Header.Get(headerStatus))
	if err != nil {
		return wire.PeerAnswer{}, fmt.Errorf("ask node %s: read status: %w", node, err)
	}
	return wire.PeerAnswer{Status: status, RetryAfter: m.Header.Get(headerRetryAfter), Body: m.Data}, nil
}

// isNode reports whether a word can be a node's name. The word may come from a client, so
// it must not match more than one node's subject.
func isNode(word string) bool {
	if len(word) != 8 {
		return false
	}
	for _, c := range []byte(word) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func (n *Nodes) askSubject(node string) string { return n.e.Subject("node." + node + ".ask") }

// payloadSize is what counts against the server's max_payload.
func payloadSize(m *natsgo.Msg) int64 {
	size := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for name, values := range m.Header {
		for _, value := range values {
			size += len(name) + len(": \r\n") + len(value)
		}
	}
	return int64(size)
}

// responder answers requests of other nodes under one name of this node.
type responder struct {
	n       *Nodes
	handler func(context.Context, wire.PeerRequest) wire.PeerAnswer
	sub     *natsgo.Subscription
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// openResponder begins to answer requests to node. Those that are sent after it has
// returned arrive.
func (n *Nodes) openResponder(ctx context.Context, node string, handler func(context.Context, wire.PeerRequest) wire.PeerAnswer) (*responder, error) {
	sub, err := n.e.Conn().SubscribeSync(n.askSubject(node))
	if err != nil {
		return nil, fmt.Errorf("serve other nodes: %w", err)
	}
	life, stop := context.WithCancel(ctx)
	d := &responder{n: n, handler: handler, sub: sub, stop: stop}
	d.work.Go(func() { d.serve(life) })
	return d, nil
}

// close ends the requests that are being answered, and waits for them.
func (d *responder) close() {
	_ = d.sub.Unsubscribe() // it fails only if the connection is closed
	d.stop()
	d.work.Wait()
}

func (d *responder) serve(ctx context.Context) {
	for {
		m, err := d.sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, natsgo.ErrSlowConsumer):
			d.n.log.Warn("requests of other nodes were lost: they came faster than they were refused")
			continue
		case err != nil: // ctx or the connection has ended
			return
		}
		d.n.answered.Add(1)
		select {
		case d.n.slots <- struct{}{}:
			d.work.Go(func() {
				defer func() { <-d.n.slots }()
				d.reply(m, d.answer(ctx, m))
			})
		default:
			d.n.refused.Add(1)
			d.reply(m, refusal(http.StatusServiceUnavailable, wire.CodeNodeBusy, "The node is being asked too much at once"))
		}
	}
}

// answer has the handler answer a request.
func (d *responder) answer(ctx context.Context, m *natsgo.Msg) (a wire.PeerAnswer) {
	ctx, cancel := context.WithTimeout(ctx, d.n.opts.AskTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.n.log.Error("panic while answering another node", "panic", p, "stack", string(debug.Stack()))
			a = refusal(http.StatusInternalServerError, wire.CodeInternal, "Internal error")
		}
	}()
	return d.handler(ctx, wire.PeerRequest{
		Method: m.Header.Get(headerMethod), Target: m.Header.Get(headerTarget),
		ContentType: m.Header.Get(headerContentType), Body: m.Data,
	})
}

func (d *responder) reply(m *natsgo.Msg, a wire.PeerAnswer) {
	answer := natsgo.NewMsg(m.Reply)
	answer.Header.Set(headerStatus, strconv.Itoa(a.Status))
	if a.RetryAfter != "" {
		answer.Header.Set(headerRetryAfter, a.RetryAfter)
	}
	answer.Data = a.Body
	if size := payloadSize(answer); size > d.n.e.Conn().MaxPayload() {
		answer.Data = nil
		answer.Header.Set(headerTooLarge, strconv.FormatInt(size, 10))
	}
	if err := m.RespondMsg(answer); err != nil {
		d.n.log.Warn("answer to another node not sent", "error", err) // the node that asked gives up after its AskTimeout
	}
}

// refusal is an error in the form of the internal API.
func refusal(status int, code wire.Code, message string) wire.PeerAnswer {
	body, err := json.Marshal(map[string]any{"error": wire.Errorf(status, code, message)})
	if err != nil {
		panic(err) // it has strings only
	}
	a := wire.PeerAnswer{Status: status, Body: body}
	if status == http.StatusServiceUnavailable {
		a.RetryAfter = "1"
	}
	return a
}
