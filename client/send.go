package client

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
)

// Message is one message to the gateway: to a stream (Token) or to a topic (Topic),
// exactly one of them.
type Message struct {
	// Token names the stream, as the callback of its connect did.
	Token string `json:"token,omitempty"`
	// Topic names the topic. The part before the first ":" is its namespace, which
	// decides how much history it keeps.
	Topic string `json:"topic,omitempty"`
	// Event is what clients receive. Nil with Close sends nothing and only ends.
	Event *Event `json:"event,omitempty"`
	// Close ends the stream, or the topic, after the event.
	Close bool `json:"close,omitempty"`
	// IdempotencyKey makes a repeat within two minutes harmless: the gateway answers
	// it with the id of the first. For topics only, at most 256 bytes. Default: a random
	// one, see Options.Retries.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Event is what a client receives.
type Event struct {
	Name string `json:"name,omitempty"` // "" makes it a "message" for EventSource
	Data string `json:"data"`

	// Transient events go to the streams that are attached now, and into no log: a
	// client that is away misses them. For topics only, without Close and
	// IdempotencyKey.
	Transient bool `json:"transient,omitempty"`
}

// Status words of a [Result].
const (
	StatusOK       = "ok"
	StatusBuffered = "buffered" // the stream's connect callback is not answered yet
)

// Result is what became of one message. It has the JSON form of the gateway's answer.
type Result struct {
	// Status is StatusOK or StatusBuffered; "" for a message that was refused.
	Status string `json:"status,omitempty"`
	// ID is the event's id. Topics only.
	ID string `json:"id,omitempty"`
	// Receivers counts the streams that the event went to. Topics only; nil if they
	// were not counted.
	Receivers *int `json:"receivers,omitempty"`
	// Code is the HTTP status that the message would have had alone, and Error why it
	// was refused. Of SendBatch and SendLines only.
	Code  int    `json:"code,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Err returns why the message was refused, or nil.
func (r Result) Err() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

// Send sends one message. Messages to one token, and to one topic, are delivered in
// the order in which their calls returned. [CodeTokenNotFound] means that the client
// has left, [CodeTopicClosed] that the topic has ended.
func (c *Client) Send(ctx context.Context, m Message) (Result, error) {
	m = c.withKey(m)
	var result Result
	err := c.do(ctx, call{
		name: "POST /internal/send", method: http.MethodPost, path: "/internal/send",
		media: mediaJSON, body: encode(m), repeatable: m.IdempotencyKey != "",
	}, func(r io.Reader) error {
		if err := into(&result)(r); err != nil {
			return err
		}
		if result.Status == "" { // such as {}, of a web server of another kind
			return foreignAnswer(http.StatusOK)
		}
		return nil
	})
	return result, err
}

// withKey gives m a key if that allows to repeat it.
func (c *Client) withKey(m Message) Message {
	transient := m.Event != nil && m.Event.Transient
	if c.retries > 0 && m.Topic != "" && m.IdempotencyKey == "" && !transient {
		m.IdempotencyKey = rand.Text()
	}
	return m
}
