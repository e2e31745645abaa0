package backend

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"tidegate/internal/wire"
)

// Bounds of one batch, as the gateway has them.
const (
	maxBatchLines = 10_000
	maxBatchBytes = 16 << 20
)

// Message is one message to the gateway: to a stream (Token) or to a topic
// (Topic), exactly one of them.
type Message struct {
	Token string `json:"token,omitempty"`
	Topic string `json:"topic,omitempty"`
	Event *Event `json:"event,omitempty"`
	// Close ends the stream, or the topic, after the event.
	Close bool `json:"close,omitempty"`
	// IdempotencyKey makes a repeat within two minutes harmless; topics only.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Event is what the browser gets: its name ("" is a plain message) and data.
type Event struct {
	Name string `json:"name,omitempty"`
	Data string `json:"data"`
}

// Send sends one message.
func (c *Client) Send(ctx context.Context, m Message) (wire.SendAnswer, error) {
	var answer wire.SendAnswer
	err := c.do(ctx, call{
		name: "POST /internal/send", method: http.MethodPost, path: "/internal/send",
		media: mediaJSON, body: encode(m),
	}, into(&answer))
	return answer, err
}

// SendBatch sends messages in order, in as few requests as the bounds of a
// batch allow, and returns one answer for each, in order. A message that the
// gateway refuses is an answer with an Error in it ([answerError]), and does not
// keep the others from being taken. If err is not nil, the answers are those of
// the messages before the request that failed.
func (c *Client) SendBatch(ctx context.Context, messages []Message) ([]wire.SendAnswer, error) {
	answers := make([]wire.SendAnswer, 0, len(messages))
	var batch bytes.Buffer
	lines := 0
	flush := func() error {
		if lines == 0 {
			return nil
		}
		got, err := c.sendLines(ctx, batch.Bytes(), lines)
		answers = append(answers, got...)
		batch.Reset()
		lines = 0
		return err
	}
	for _, m := range messages {
		line := append(encode(m), '\n')
		if lines == maxBatchLines || batch.Len()+len(line) > maxBatchBytes {
			if err := flush(); err != nil {
				return answers, err
			}
		}
		if len(line) > maxBatchBytes {
			answers = append(answers, wire.SendAnswer{Code: http.StatusRequestEntityTooLarge,
				Error: wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge, "Message larger than a batch may be")})
			continue
		}
		batch.Write(line)
		lines++
	}
	return answers, flush()
}

// sendLines posts one batch. It returns answers for all its lines, or an error.
func (c *Client) sendLines(ctx context.Context, batch []byte, lines int) ([]wire.SendAnswer, error) {
	answers := make([]wire.SendAnswer, 0, lines)
	err := c.do(ctx, call{
		name: "POST /internal/send (batch)", method: http.MethodPost, path: "/internal/send",
		media: "application/x-ndjson", body: batch,
	}, func(r io.Reader) error {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(nil, 64<<10)
		for scanner.Scan() && len(answers) < lines {
			var a wire.SendAnswer
			if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
				return fmt.Errorf("line %d: %w", len(answers)+1, err)
			}
			if a.Error != nil {
				a.Error.Status = a.Code
			}
			answers = append(answers, a)
		}
		if len(answers) < lines {
			return fmt.Errorf("%w: answers to %d of %d lines", ErrUnreachable, len(answers), lines)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// answerError is what went wrong with one message of a batch: nil, or the
// gateway's [*wire.Error].
func answerError(a wire.SendAnswer) error {
	switch {
	case a.Code/100 == 2:
		return nil
	case a.Error != nil:
		return a.Error
	default:
		return fmt.Errorf("answer with code %d and no error", a.Code)
	}
}

// encode renders v as JSON without the escapes for HTML, which would only make
// events larger. v is one of this package's own types, which always encode.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("backend: encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
