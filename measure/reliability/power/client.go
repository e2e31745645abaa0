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

// eventBytes is the size of an event's data.
const eventBytes = 256

// Names of events: all, and the ones behind which a reader stops.
const (
	eventName = "power"
	endName   = "power-end"
)

// topicName names a topic such that serve lets clients in, and neither mode drops
// events of it during a run.
func topicName(n int) string { return fmt.Sprintf("task:power-%d", n) }

func (r *rig) target(topic int) string {
	if r.opts.mode == harness.Serve {
		return fmt.Sprintf("/api/sse/stream?task_id=power-%d", topic)
	}
	return "/power?topic=" + topicName(topic)
}

// publish publishes one event, again and again until it is answered.
func (r *rig) publish(ctx context.Context, topic int, end bool) (*event, error) {
	e := r.book.begin(topic, end)
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
	_, err = api.Retry(ctx, func() error { return r.api.Post(ctx, "/internal/send", body, &answer) })
	if err == nil && answer.ID == "" {
		err = fmt.Errorf("%w: an answer of 200 to a topic has no id", api.ErrPermanent)
	}
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	r.book.answered(e, answer.ID)
	return e, nil
}

// shown is what a client got up to the end that it waited for.
type shown struct {
	reset   bool
	numbers []int
	ids     []string
}

const readTime = 30 * time.Second

// read opens a stream, resuming after an id unless that is "", and reads a topic up to
// the end marker with a number.
func (r *rig) read(ctx context.Context, topic int, after string, end int) (s shown, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	for {
		s, err = r.readOnce(ctx, topic, after, end)
		refused, ok := errors.AsType[*eventsource.StatusError](err)
		if !ok || !api.Sleep(ctx, 100*time.Millisecond) {
			return s, err
		}
		if left, _ := ctx.Deadline(); time.Until(left) < time.Second {
			return s, fmt.Errorf("topic %d after id %q: not let in for %s: %w", topic, after, readTime, refused)
		}
	}
}

func (r *rig) readOnce(ctx context.Context, topic int, after string, end int) (s shown, err error) {
	stream, err := eventsource.Open(ctx, eventsource.Request{Base: r.public, Target: r.target(topic), LastEventID: after, Wait: 10 * time.Second, Idle: 10 * time.Second})
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
			s = shown{reset: true}
			continue
		case !block.HasData || block.Name != eventName && block.Name != endName:
			continue
		}
		body, err := record.ParseBody(block.Data)
		if err != nil || body.Topic != topic {
			return s, fmt.Errorf("topic %d gave something else: %.80q", topic, block.Data)
		}
		s.numbers, s.ids = append(s.numbers, body.Number), append(s.ids, block.ID)
		if body.Number == end {
			return s, nil
		}
	}
}

// readAll reads each topic from its beginning, some at once.
func (r *rig) readAll(ctx context.Context, ends []int) ([][]int, error) {
	has, errs := make([][]int, len(ends)), make([]error, len(ends))
	var reading sync.WaitGroup
	places := make(chan struct{}, 8)
	for topic, end := range ends {
		reading.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			s, err := r.read(ctx, topic, "", end)
			has[topic], errs[topic] = s.numbers, err
		})
	}
	reading.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	return has, nil
}

// generation asks what event ids begin with.
func (r *rig) generation(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.internal+"/internal/cluster", nil)
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
		return "", fmt.Errorf("GET /internal/cluster tells no generation: %d %.200s", response.StatusCode, text)
	}
	return status.Generation, nil
}
