package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tidegate/internal/gateway/token"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// send answers POST /internal/send: one message as JSON, or many as NDJSON.
func (g *Gateway) send(w http.ResponseWriter, r *http.Request) {
	if kind, err := mediaType(r); err == nil && kind == typeNDJSON {
		g.sendBatch(w, r)
		return
	}
	in := requestBuffers.Get().(*requestBuffer)
	defer in.putBack()
	body, err := g.readBody(w, r, in)
	if key, ok := g.headerKey(w, r, err); ok {
		g.answer(r.Context(), w, in, body, key)
	}
}

// headerKey reads the idempotency key of a request's header. If that fails, or the body
// has failed with bad, it answers and reports false.
func (g *Gateway) headerKey(w http.ResponseWriter, r *http.Request, bad error) (key string, ok bool) {
	if bad == nil {
		key, bad = wire.HeaderKey(r.Header)
	}
	if bad != nil {
		g.metrics.sent("", bad)
		wire.WriteError(w, bad)
	}
	return key, bad == nil
}

// Express answers POST /internal/send for a listener that has parsed a plain request
// itself, and has checked its host with [Gateway.ExpressHost]. The body may be reused
// when it returns.
func (g *Gateway) Express(w http.ResponseWriter, authorization, body []byte) {
	if g.opts.Secrets.Any() && !g.opts.Secrets.Bearer(authorization) {
		g.opts.Guard.Refuse(w, g.callers.Unknown())
		return
	}
	in := requestBuffers.Get().(*requestBuffer)
	defer in.putBack()
	g.answer(context.Background(), w, in, body, "") // everything that it waits for is bounded
}

// ExpressHost reports whether a request with this Host may be given to
// [Gateway.Express]. Where a secret is required, the host name does not matter.
func (g *Gateway) ExpressHost(host string) bool {
	return g.opts.Secrets.Any() || g.opts.Guard.Names.Allows(host)
}

// answer delivers one message and answers it. key is the idempotency key of the
// request's header.
func (g *Gateway) answer(ctx context.Context, w http.ResponseWriter, in *requestBuffer, body []byte, key string) {
	b := stream.NewBatch()
	m, err := in.parser.Parse(body)
	if err == nil {
		err = m.SetKey(key)
	}
	answer, err := g.deliver(ctx, b, m, err, body)
	b.Flush()
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	wire.WriteAnswer(w, answer)
}

// deliver delivers one message. body is its JSON, for another node. An error that was
// found already, bad, is only counted and returned.
func (g *Gateway) deliver(ctx context.Context, b *stream.Batch, m wire.Message, bad error, body []byte) (answer wire.SendAnswer, err error) {
	target, err := "", bad
	switch {
	case err != nil:
	case m.Topic != "":
		target = "topic"
		answer, err = g.publish(ctx, b, m)
	default:
		target = "token"
		if node := g.holder(ctx, m.Token); node != "" {
			answer, err = g.sendElsewhere(ctx, node, body)
			break
		}
		answer, err = g.direct(b, m)
	}
	g.metrics.sent(target, err)
	return answer, err
}

func (g *Gateway) publish(ctx context.Context, b *stream.Batch, m wire.Message) (wire.SendAnswer, error) {
	if m.Transient {
		return g.publishTransient(ctx, b, m)
	}
	return published(g.opts.Topics.PublishIn(ctx, b, publication(m)))
}

var (
	errNoToken = wire.Errorf(http.StatusNotFound, wire.CodeTokenNotFound, "Token not found")
	errFull    = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeBufferFull,
		Message: "Buffer full: too much is waiting for this stream", RetryAfter: time.Second}
)

// living finds a stream that has not ended and is not about to end.
func (g *Gateway) living(text string) *conn {
	t, _, ok := token.Parse(text)
	if !ok {
		return nil
	}
	c := g.table.find(t)
	if c == nil {
		return nil
	}
	if _, ending := c.stream.Ending(); ending {
		return nil
	}
	return c
}

// direct sends to one stream: first the event, then the end.
func (g *Gateway) direct(b *stream.Batch, m wire.Message) (wire.SendAnswer, error) {
	c := g.living(m.Token)
	if c == nil {
		return wire.SendAnswer{}, errNoToken
	}
	answer := wire.SendAnswer{Status: wire.StatusBuffered}
	if c.open.Load() {
		answer.Status = wire.StatusOK
	}
	g.opts.Topics.DeliverPending(b, &c.member) // what was published before goes first
	if m.HasEvent {
		block := make([]byte, stream.Room, stream.Room+len(m.Name)+len(m.Data)+32)
		block, err := sse.Append(block, sse.Event{Name: m.Name, Data: m.Data})
		if err != nil {
			return wire.SendAnswer{}, err
		}
		switch err := c.stream.PushDirect(b, stream.NewFrame(block, stream.Room, 0)); {
		case errors.Is(err, stream.ErrEnded):
			return wire.SendAnswer{}, errNoToken
		case err != nil:
			return wire.SendAnswer{}, errFull
		}
	}
	if m.Close && !c.stream.End(b, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}, nil) && !m.HasEvent {
		return wire.SendAnswer{}, errNoToken // another close was faster
	}
	return answer, nil
}
