package gateway

import (
	"errors"
	"net/http"
	"time"

	"sluice/internal/stream"
	"sluice/internal/topic"
	"sluice/internal/wire"
	"sluice/sse"
)

// send is POST /internal/send: one message as JSON, or many as NDJSON.
func (g *Gateway) send(w http.ResponseWriter, r *http.Request) {
	if kind, err := mediaType(r); err == nil && kind == typeNDJSON {
		g.sendBatch(w, r)
		return
	}
	body, err := g.readBody(w, r)
	if err != nil {
		g.metrics.sent("", err)
		wire.WriteError(w, err)
		return
	}
	answer, err := g.deliver(body)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	wire.WriteJSON(w, http.StatusOK, answer)
}

// deliver takes one message as it came.
func (g *Gateway) deliver(body []byte) (answer wire.SendAnswer, err error) {
	m, err := wire.ParseMessage(body)
	target := ""
	switch {
	case err != nil:
	case m.Topic != "":
		target = "topic"
		answer, err = g.publish(m)
	default:
		target = "token"
		answer, err = g.direct(m)
	}
	g.metrics.sent(target, err)
	return answer, err
}

func (g *Gateway) publish(m wire.Message) (wire.SendAnswer, error) {
	receipt, err := g.opts.Topics.Publish(topic.Publication{
		Topic: m.Topic, HasEvent: m.HasEvent, Name: m.Name, Data: m.Data, Close: m.Close, Key: m.IdempotencyKey,
	})
	if err != nil {
		return wire.SendAnswer{}, err
	}
	return wire.SendAnswer{Status: wire.StatusOK, ID: receipt.ID, Receivers: &receipt.Receivers}, nil
}

var (
	errNoToken = wire.Errorf(http.StatusNotFound, wire.CodeTokenNotFound, "Token not found")
	errFull    = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeBufferFull,
		Message: "Buffer full: too much is waiting for this stream", RetryAfter: time.Second}
)

// direct sends to one stream: first the event, then its end.
func (g *Gateway) direct(m wire.Message) (wire.SendAnswer, error) {
	c := g.table.find(m.Token)
	if c == nil || c.stream.Ending() != nil {
		return wire.SendAnswer{}, errNoToken
	}
	answer := wire.SendAnswer{Status: wire.StatusBuffered}
	if c.open.Load() {
		answer.Status = wire.StatusOK
	}
	if m.HasEvent {
		block, err := sse.Append(nil, sse.Event{Name: m.Name, Data: m.Data})
		if err != nil {
			return wire.SendAnswer{}, err
		}
		switch err := c.stream.Push(stream.Frame{Bytes: block, Kind: stream.Direct}); {
		case errors.Is(err, stream.ErrEnded):
			return wire.SendAnswer{}, errNoToken
		case err != nil:
			return wire.SendAnswer{}, errFull
		}
	}
	if m.Close && !c.stream.End(wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}, nil) && !m.HasEvent {
		return wire.SendAnswer{}, errNoToken // another close was faster
	}
	return answer, nil
}
