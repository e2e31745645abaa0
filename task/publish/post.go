package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Bounds of one request, below what a gateway takes by default, and of its answer.
const (
	maxLines       = 1000
	maxBytes       = 8 << 20
	maxAnswerBytes = 16 << 20
)

// post is Options.Send over HTTP. A request that is refused as too large, by the
// gateway or by what is in front of it, is sent in smaller ones.
func (p *Publisher) post(ctx context.Context, messages []Message) ([]Answer, error) {
	var all []Answer
	for most := maxLines; len(messages) > 0; {
		lines, n, err := encode(messages, most)
		if err != nil {
			return all, err
		}
		answers, err := p.request(ctx, lines, n)
		if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusRequestEntityTooLarge && n > 1 {
			most = n / 2
			continue
		}
		all = append(all, answers...)
		if err != nil {
			return all, err
		}
		messages = messages[n:]
	}
	return all, nil
}

// encode writes the first messages, most at most, as the body of one request.
func encode(messages []Message, most int) (body []byte, n int, err error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false) // would only make events larger
	for n < min(len(messages), most) && (n == 0 || lines.Len() < maxBytes) {
		if err := encoder.Encode(messages[n]); err != nil {
			return nil, 0, fmt.Errorf("publish: encode event: %w", err)
		}
		n++
	}
	return lines.Bytes(), n, nil
}

// request sends n lines and reads as many answers.
func (p *Publisher) request(ctx context.Context, lines []byte, n int) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.opts.URL, bytes.NewReader(lines))
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header["Idempotency-Key"] = nil // is not sent; says that a repeat does no harm, see http.Transport
	if p.opts.Secret != "" {
		r.Header.Set("Authorization", "Bearer "+p.opts.Secret)
	}
	res, err := p.opts.HTTPClient.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("publish: send to the gateway: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body := json.NewDecoder(io.LimitReader(res.Body, maxAnswerBytes))
	if res.StatusCode != http.StatusOK {
		return refused(res.StatusCode, body, n)
	}
	answers := make([]Answer, 0, n)
	for range n {
		var a line
		if err := body.Decode(&a); err != nil {
			return answers, fmt.Errorf("publish: read the answer to event %d of %d: %w", len(answers)+1, n, err)
		}
		answers = append(answers, a.answer(a.Code))
	}
	return answers, nil
}

// refused is what a refusal of the whole request means. One event that is too
// large for a request of its own is that event's answer.
func refused(status int, body *json.Decoder, n int) ([]Answer, error) {
	var a line
	_ = body.Decode(&a) // what is no JSON has no code
	answer := a.answer(status)
	if n == 1 && status == http.StatusRequestEntityTooLarge {
		return []Answer{answer}, nil
	}
	return nil, &Error{answer}
}

// line is one answer as the gateway writes it.
type line struct {
	Code  int `json:"code"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (l line) answer(status int) Answer {
	a := Answer{Status: status}
	if l.Error != nil {
		a.Code, a.Text = l.Error.Code, l.Error.Message
	}
	return a
}
