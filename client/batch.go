package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// Bounds of one request of a batch, below what a gateway takes by default.
const (
	maxBatchLines = 1000
	maxBatchBytes = 8 << 20
)

// maxResultBytes bounds one line of the answer to a batch.
const maxResultBytes = 64 << 10

// SendBatch sends messages in order, and returns one result for each, in order. One
// request carries at most 1000 messages and 8 MiB. A message that the gateway refuses does
// not keep the others from being taken: see [Result.Err]. It is not repeated, because that
// would change the order.
//
// If err is not nil, the results are those of the messages before the request that
// failed. A request is repeated only if each of its messages has an idempotency key.
func (c *Client) SendBatch(ctx context.Context, messages []Message) ([]Result, error) {
	lines := make([][]byte, len(messages))
	keyless := make([]bool, len(messages))
	for i, m := range messages {
		m = c.withKey(m)
		lines[i], keyless[i] = encode(m), m.IdempotencyKey == ""
	}
	results := make([]Result, 0, len(messages))
	err := c.sendLines(ctx, lines, func(answers [][]byte) error {
		parsed, err := parseResults(answers)
		results = append(results, parsed...)
		return err
	}, func(from, to int) bool { return !slices.Contains(keyless[from:to], true) })
	return results, err
}

// SendLines is [Client.SendBatch] for messages that are JSON already, for programs that
// pass on what others wrote. Each line is one object in the form of [Message], and each
// answer one in the form of [Result], both without a line feed. Neither is looked at:
// messages get no key, and so are repeated only if the gateway took nothing.
func (c *Client) SendLines(ctx context.Context, lines [][]byte) (answers [][]byte, err error) {
	err = c.sendLines(ctx, lines, func(some [][]byte) error {
		answers = append(answers, some...)
		return nil
	}, func(int, int) bool { return false })
	return answers, err
}

// sendLines sends lines in as few requests as possible, and calls take with the answers
// to each. A request that is refused as too large, by the gateway or by what is in front
// of it, is sent in smaller ones. repeatable says whether a request of some of the lines
// may be repeated.
func (c *Client) sendLines(ctx context.Context, lines [][]byte, take func([][]byte) error, repeatable func(from, to int) bool) error {
	for from, most := 0, maxBatchLines; from < len(lines); {
		body, n := joinLines(lines[from:], most)
		answers, err := c.sendRequest(ctx, body, n, repeatable(from, from+n))
		if e, ok := tooLarge(err); ok && n > 1 {
			most = n / 2
			continue
		} else if ok {
			answers, err = [][]byte{encode(Result{Code: e.Status, Error: e})}, nil
		}
		if err != nil {
			return err
		}
		if err := take(answers); err != nil {
			return err
		}
		from += n
	}
	return nil
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

// sendRequest posts n lines. It returns the answers to all of them, or an error.
func (c *Client) sendRequest(ctx context.Context, body []byte, n int, repeatable bool) (answers [][]byte, err error) {
	err = c.do(ctx, call{
		name: "POST /internal/send (batch)", method: http.MethodPost, path: "/internal/send",
		media: mediaLines, body: body, repeatable: repeatable,
	}, func(r io.Reader) (err error) {
		answers, err = readLines(r, n)
		return err
	})
	return answers, err
}

// readLines reads n lines of an answer.
func readLines(r io.Reader, n int) ([][]byte, error) {
	lines := make([][]byte, 0, n)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxResultBytes)
	for len(lines) < n && scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	if len(lines) > 0 && !bytes.HasPrefix(lines[0], []byte("{")) {
		return nil, foreignAnswer(http.StatusOK)
	}
	if err := scanner.Err(); err != nil { // then the last line may be half of one
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if len(lines) < n {
		return nil, fmt.Errorf("%w: answers to %d of %d lines", ErrUnreachable, len(lines), n)
	}
	return lines, nil
}

func parseResults(answers [][]byte) ([]Result, error) {
	results := make([]Result, len(answers))
	for i, line := range answers {
		r := &results[i]
		if err := json.Unmarshal(line, r); err != nil {
			return nil, fmt.Errorf("POST /internal/send (batch): read answer: line %d: %w", i+1, err)
		}
		switch {
		case r.Code/100 == 2:
			r.Error = nil
		case r.Error == nil:
			r.Error = &Error{Status: r.Code, Message: fmt.Sprintf("result with code %d and no error", r.Code)}
		default:
			r.Error.Status = r.Code
		}
	}
	return results, nil
}
