package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/callback"
	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/record"
)

// run does everything.
func run(ctx context.Context, o options, stdout io.Writer) (err error) {
	var portErr error
	var ports harness.Ports
	defer ports.Release()
	o.deployment.CallbackURL = o.callbackURL(&ports, &portErr)
	b, err := harness.New(ctx, o.deployment)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	if portErr != nil {
		return portErr
	}
	client := api.New(b.Internal(), b.Secret(), 10*time.Second, 100)
	defer client.Close()
	backend, err := callback.Listen(o.callbacks, client, func(record.Callback) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	if err := b.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "started", b.Describe())
	s := &storm{opts: o, api: client, public: b.Public(), ends: map[string]int{}}
	if err := s.run(ctx); err != nil {
		return err
	}
	if err := s.report(stdout); err != nil {
		return err
	}
	if err := b.Stop(ctx); err != nil {
		return err
	}
	if len(s.faults) > 0 || s.resets > 0 {
		return command.ErrFault
	}
	return nil
}

// storm is one run.
type storm struct {
	opts   options
	api    *api.Client
	public []string
	marks  []string // by topic: the id that its clients resume after
	live   *live

	began time.Time
	took  time.Duration

	mu       sync.Mutex
	caught   []time.Duration // from the beginning until a client has everything; guarded by mu, like all below
	attempts int             // connections that were tried
	ends     map[string]int
	resets   int
	faults   []string // the first ones
	faulty   int
}

const maxFaults = 10

func (s *storm) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faulty++; len(s.faults) < maxFaults {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

func (s *storm) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.limit, fmt.Errorf("the storm took longer than --limit %s", s.opts.limit))
	defer cancel()
	if err := s.fill(ctx); err != nil {
		return fmt.Errorf("publish what the clients are behind: %w", err)
	}
	s.live = newLive(s)
	return s.live.during(ctx, func(ctx context.Context) error {
		if !api.Sleep(ctx, s.opts.calm) {
			return context.Cause(ctx)
		}
		s.live.phase(stormy)
		return s.resumeAll(ctx)
	})
}

// fill publishes one event to each topic, whose id is remembered, and then
// those that the clients are behind.
func (s *storm) fill(ctx context.Context) error {
	s.marks = make([]string, s.opts.topics)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for topic := range s.opts.topics {
		group.Go(func() error {
			for number := 0; number <= s.opts.behind; {
				var batch []byte
				from := number
				for ; number <= s.opts.behind && number-from < batchLines; number++ {
					batch = append(batch, s.message(topic, number)...)
				}
				_, err := api.Retry(ctx, func() error { return s.publish(ctx, topic, from, batch) })
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// batchLines keeps a batch well below what a server takes.
const batchLines = 100

func topicName(topic int) string { return fmt.Sprintf("load:storm-%d", topic) }

// message is a line of a batch. Keys make a repeat harmless.
func (s *storm) message(topic, number int) []byte {
	body := record.Body{Global: uint64(number) + 1, Topic: topic, Number: number}.Text(s.opts.size)
	line, err := json.Marshal(map[string]any{
		"topic": topicName(topic), "event": map[string]string{"data": body}, "idempotency_key": fmt.Sprintf("storm-%d-%d", topic, number),
	})
	if err != nil {
		panic(err) // strings can be encoded
	}
	return append(line, '\n')
}

// publish posts a batch and takes the id of the topic's first event.
func (s *storm) publish(ctx context.Context, topic, from int, batch []byte) error {
	answer, err := s.api.PostBatch(ctx, "/internal/send", batch)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	for n := from; ; n++ {
		var line struct {
			Code int
			ID   string
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: answer to a batch: %w", api.ErrPermanent, err)
		}
		if line.Code != 200 {
			return fmt.Errorf("event %d of topic %d was answered %d", n, topic, line.Code)
		}
		if n == 0 {
			s.marks[topic] = line.ID
		}
	}
}
