package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// broadcaster sends events to all streams: to the one name that means them all,
// or, where there is none, to each token over several connections.
type broadcaster struct {
	size    int
	senders []*sender
	targets []target // one that is for all, or the tokens by stream id
}

func (b *testbed) newBroadcaster(ctx context.Context) (*broadcaster, error) {
	c := &broadcaster{size: b.opts.Size, targets: []target{topicTarget(b.endpoint.Topic)}}
	count := 1
	switch {
	case b.subject.limit:
		c.targets[0] = tokenTarget(everyToken)
	case b.tokensOnly():
		tokens, err := b.backend.tokensOf(b.clients.opened)
		if err != nil {
			return nil, err
		}
		c.targets = c.targets[:0]
		for _, token := range tokens {
			c.targets = append(c.targets, tokenTarget(token))
		}
		count = min(b.opts.Senders, len(tokens))
	}
	var err error
	c.senders, err = b.dial(ctx, count)
	return c, err
}

// dial connects senders.
func (b *testbed) dial(ctx context.Context, count int) ([]*sender, error) {
	var list []*sender
	for range count {
		s, err := b.api.dial(ctx)
		if err != nil {
			closeAll(list)
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func closeAll(list []*sender) {
	for _, s := range list {
		s.close()
	}
}

func (c *broadcaster) close() { closeAll(c.senders) }

// send sends count events, numbered from first on, at once.
func (c *broadcaster) send(first int64, count int, at int64) error {
	if len(c.targets) == 1 {
		return c.sendOnce(first, count, at)
	}
	errs := make([]error, len(c.senders))
	var wg sync.WaitGroup
	for i := range c.senders {
		wg.Go(func() { errs[i] = c.sendShare(i, first, count, at) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sendOnce sends one event as JSON, or many in one request as NDJSON.
func (c *broadcaster) sendOnce(first int64, count int, at int64) error {
	var body []byte
	for n := range int64(count) {
		body = appendMessage(body, c.targets[0], mark{seq: first + n, to: everyone, at: at}, c.size)
		body = append(body, '\n')
	}
	if count == 1 {
		_, err := c.senders[0].post(sendPath, typeJSON, body)
		return err
	}
	answer, err := c.senders[0].post(sendPath, typeNDJSON, body)
	if err != nil {
		return err
	}
	return allTaken(answer, count)
}

// allTaken reads the answer to a batch, which has one line for each message.
func allTaken(answer []byte, count int) error {
	taken := 0
	for line := range bytes.Lines(answer) {
		var result struct{ Code int }
		if err := json.Unmarshal(line, &result); err != nil {
			return fmt.Errorf("read the answer to a batch: %w", err)
		}
		if result.Code != 200 {
			return fmt.Errorf("message %d of a batch was refused: %.200s", taken+1, line)
		}
		taken++
	}
	if taken != count {
		return fmt.Errorf("a batch of %d messages was answered for %d", count, taken)
	}
	return nil
}

// sendShare sends the events to the tokens that belong to sender i. Only one
// sender serves a token, which keeps the order.
func (c *broadcaster) sendShare(i int, first int64, count int, at int64) error {
	var body []byte
	for n := range int64(count) {
		for id := i; id < len(c.targets); id += len(c.senders) {
			body = appendMessage(body[:0], c.targets[id], mark{seq: first + n, to: everyone, at: at}, c.size)
			if _, err := c.senders[i].post(sendPath, typeJSON, body); err != nil {
				return err
			}
		}
	}
	return nil
}
