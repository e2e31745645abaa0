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

// run starts the deployment, runs the storm and prints the result.
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
	opts      options
	api       *api.Client
	public    []string
	resumeIDs []string // by topic: the id after which its clients resume
	live      *live

	began time.Time
	took  time.Duration

	mu         sync.Mutex
	caught     []time.Duration // time until each client has caught up; guarded by mu, like the fields below
	attempts   int             // connections, tried or open
	ends       map[string]int
	resets     int
	faults     []string // the first maxFaults
	faultCount int
}

const maxFaults = 10

func (s *storm) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faultCount++; len(s.faults) < maxFaults {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

func (s *storm) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.limit, fmt.Errorf("the storm took longer than --limit %s", s.opts.limit))
	defer cancel()
	if err := s.fill(ctx); err != nil {
		return fmt.Errorf("publish the events to catch up on: %w", err)
	}
	s.live = newLive(s)
	return s.live.during(ctx, func(ctx context.Context) error {
		if !api.Sleep(ctx, s.opts.baseline) {
			return context.Cause(ctx)
		}
		s.live.phase(duringStorm)
		return s.resumeAll(ctx)
	})
}

// fill publishes one event to each topic, after whose id the clients resume, and then
// the events that they are behind.
func (s *storm) fill(ctx context.Context) error {
	s.resumeIDs = make([]string, s.opts.topics)
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

// batchLines keeps a batch well below the limit of a server.
const batchLines = 100

func topicName(topic int) string { return fmt.Sprintf("load:storm-%d", topic) }

// message returns a line of a batch. Its idempotency key allows retries.
func (s *storm) message(topic, number int) []byte {
	body := record.Body{Global: uint64(number) + 1, Topic: topic, Number: number}.Text(s.opts.size)
	line, err := json.Marshal(map[string]any{
		"topic": topicName(topic), "event": map[string]string{"data": body}, "idempotency_key": fmt.Sprintf("storm-%d-%d", topic, number),
	})
	if err != nil {
		panic(err) // unreachable: strings can be encoded
	}
	return append(line, '\n')
}

// publish posts a batch and keeps the id of the topic's first event.
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
			s.resumeIDs[topic] = line.ID
		}
	}
}
