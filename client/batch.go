package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Bounds of one request of a batch, below what a gateway takes by default.
const (
	maxBatchLines = 1000
	maxBatchBytes = 8 << 20
)

// maxResultBytes bounds one line of the answer to a batch.
const maxResultBytes = 64 << 10

// SendBatch sends messages in order, in as few requests as the bounds of a request
// allow (1000 messages, 8 MiB), and returns one result for each, in order. A message
// that the gateway refuses does not keep the others from being taken: see
// [Result.Err]. It is not repeated, because that would change the order.
//
// If err is not nil, the results are those of the messages before the request that
// failed. A request is repeated only if each of its messages has an idempotency key.
func (c *Client) SendBatch(ctx context.Context, messages []Message) ([]Result, error) {
	lines := make([][]byte, len(messages))
	keyed := make([]bool, len(messages))
	for i, m := range messages {
		m = c.withKey(m)
		lines[i], keyed[i] = encode(m), m.IdempotencyKey != ""
	}
	return c.sendLines(ctx, lines, func(from, to int) bool {
		for _, ok := range keyed[from:to] {
			if !ok {
				return false
			}
		}
		return true
	})
}

// SendLines is [Client.SendBatch] for messages that are JSON already, for programs that
// pass on what others wrote. Each line is one object in the form of [Message], without
// a line feed. What it says is not looked at, gets no key, and so is repeated only if
// the gateway took nothing.
func (c *Client) SendLines(ctx context.Context, lines [][]byte) ([]Result, error) {
	return c.sendLines(ctx, lines, func(int, int) bool { return false })
}

// sendLines sends lines in as few requests as possible. A request that is refused as
// too large, by the gateway or by what is in front of it, is sent in smaller ones.
func (c *Client) sendLines(ctx context.Context, lines [][]byte, repeatable func(from, to int) bool) ([]Result, error) {
	results := make([]Result, 0, len(lines))
	for most := maxBatchLines; len(results) < len(lines); {
		from := len(results)
		body, n := joinLines(lines[from:], most)
		got, err := c.sendRequest(ctx, body, n, repeatable(from, from+n))
		if e, ok := tooLarge(err); ok && n > 1 {
			most = n / 2
			continue
		} else if ok {
			got, err = []Result{{Code: e.Status, Error: e}}, nil
		}
		if err != nil {
			return results, err
		}
		results = append(results, got...)
	}
	return results, nil
}

// joinLines makes the body of one request of the first lines, most at most.
func joinLines(lines [][]byte, most int) (body []byte, n int) {
	for n < min(len(lines), most) && (n == 0 || len(body)+len(lines[n]) < maxBatchBytes) {
		body = append(append(body, lines[n]...), '\n')
		n++
	}
	return body, n
}

// tooLarge returns the refusal of a whole request for its size.
func tooLarge(err error) (e *Error, ok bool) {
	e, ok = errors.AsType[*Error](err)
	return e, ok && e.Status == http.StatusRequestEntityTooLarge
}

// sendRequest posts n lines. It returns a result for each of them, or an error.
func (c *Client) sendRequest(ctx context.Context, body []byte, n int, repeatable bool) ([]Result, error) {
	var results []Result
	err := c.do(ctx, call{
		name: "POST /internal/send (batch)", method: http.MethodPost, path: "/internal/send",
		media: mediaLines, body: body, repeatable: repeatable,
	}, func(r io.Reader) (err error) {
		results, err = readResults(r, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

func readResults(r io.Reader, n int) ([]Result, error) {
	results := make([]Result, 0, n)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxResultBytes)
	for len(results) < n && scanner.Scan() {
		var result Result
		if err := json.Unmarshal(scanner.Bytes(), &result); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(results)+1, err)
		}
		switch {
		case result.Code/100 == 2:
			result.Error = nil
		case result.Error == nil:
			result.Error = &Error{Status: result.Code, Message: fmt.Sprintf("result with code %d and no error", result.Code)}
		default:
			result.Error.Status = result.Code
		}
		results = append(results, result)
	}
	if len(results) < n {
		return nil, fmt.Errorf("%w: answers to %d of %d lines", ErrUnreachable, len(results), n)
	}
	return results, nil
}
