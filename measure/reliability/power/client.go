package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/eventsource"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/record"
)

// eventBytes is the size of an event's data in bytes.
const eventBytes = 256

// Names of events: the end markers at which a reader stops, and all others.
const (
	eventName = "power"
	endName   = "power-end"
)

// topicName returns a topic that serve lets clients follow and whose events neither
// mode drops during a run.
func topicName(n int) string { return fmt.Sprintf("task:power-%d", n) }

func (m *machine) target(topic int) string {
	if m.opts.mode == harness.Serve {
		return fmt.Sprintf("/api/sse/stream?task_id=power-%d", topic)
	}
	return "/power?topic=" + topicName(topic)
}

// publish publishes one event and retries until it is answered.
func (m *machine) publish(ctx context.Context, topic int, end bool) (*event, error) {
	e := m.history.begin(topic, end)
	name := eventName
	if end {
		name = endName
	}
	body, err := json.Marshal(map[string]any{
		"topic":           topicName(topic),
		"idempotency_key": fmt.Sprintf("power-%d-%d", topic, e.number),
		"event":           map[string]string{"name": name, "data": record.Body{Topic: topic, Number: e.number}.Text(eventBytes)},
	})
	if err != nil {
		return nil, err
	}
	var answer struct{ ID string }
	_, err = api.Retry(ctx, func() error { return m.api.Post(ctx, "/internal/send", body, &answer) })
	if err == nil && answer.ID == "" {
		err = fmt.Errorf("%w: the answer is 200 but has no id", api.ErrPermanent)
	}
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	m.history.answered(e, answer.ID)
	return e, nil
}

// received is what a client received up to the end marker.
type received struct {
	reset   bool
	numbers []int
	ids     []string
}

const readTime = 30 * time.Second

// read opens a stream and reads a topic up to the end marker with the given number. It
// resumes after an id, or starts at the beginning if that is "".
func (m *machine) read(ctx context.Context, topic int, after string, end int) (s received, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	for {
		s, err = m.readOnce(ctx, topic, after, end)
		refused, ok := errors.AsType[*eventsource.StatusError](err)
		if !ok || !api.Sleep(ctx, 100*time.Millisecond) {
			return s, err
		}
		if left, _ := ctx.Deadline(); time.Until(left) < time.Second {
			return s, fmt.Errorf("topic %d after id %q: rejected for %s: %w", topic, after, readTime, refused)
		}
	}
}

func (m *machine) readOnce(ctx context.Context, topic int, after string, end int) (s received, err error) {
	stream, err := eventsource.Open(ctx, eventsource.Request{Base: m.public, Target: m.target(topic), LastEventID: after, Wait: 10 * time.Second, Idle: 10 * time.Second})
	if err != nil {
		return s, err
	}
	defer stream.Close()
	for {
		block, err := stream.Next(time.Time{})
		switch {
		case err != nil:
			return s, fmt.Errorf("topic %d after id %q: %w", topic, after, err)
		case block.Name == "reset":
			s = received{reset: true}
			continue
		case !block.HasData || block.Name != eventName && block.Name != endName:
			continue
		}
		body, err := record.ParseBody(block.Data)
		if err != nil || body.Topic != topic {
			return s, fmt.Errorf("topic %d sent an unexpected event: %.80q", topic, block.Data)
		}
		s.numbers, s.ids = append(s.numbers, body.Number), append(s.ids, block.ID)
		if body.Number == end {
			return s, nil
		}
	}
}

// readAll reads all topics from their beginnings, eight at a time.
func (m *machine) readAll(ctx context.Context, ends []int) ([][]int, error) {
	stored, errs := make([][]int, len(ends)), make([]error, len(ends))
	var reading sync.WaitGroup
	slots := make(chan struct{}, 8)
	for topic, end := range ends {
		reading.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s, err := m.read(ctx, topic, "", end)
			stored[topic], errs[topic] = s.numbers, err
		})
	}
	reading.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	return stored, nil
}

// generation asks the server for the generation, the prefix of its event ids.
func (m *machine) generation(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.internal+"/internal/cluster", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var status struct{ Generation string }
	if err := json.Unmarshal(text, &status); err != nil || status.Generation == "" {
		return "", fmt.Errorf("GET /internal/cluster returned no generation: %d %.200s", response.StatusCode, text)
	}
	return status.Generation, nil
}
