package workload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/callback"
	"tidegate/measure/reliability/record"
)

// Load is one run. Make it with [New]; it can be run once.
type Load struct {
	opts   Options
	door   door
	name   string // of the run, in idempotency keys and topics
	clock  record.Clock
	api    *api.Client
	hooks  *callback.Backend // nil if callbacks are not ours
	told   *record.Writer    // callbacks; nil likewise
	pauses pauses

	publishers []*publisher
	clients    []*client
	placed     *countdown // of clients that have no position yet
	all        *countdown // of clients that have not got all end markers
	clientOuts []*record.Writer
}

// New checks the options, makes the files, and listens for callbacks, so that
// the URL can be given to the server. Run or Close must be called.
func New(o Options) (*Load, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	name := rand.Text()[:8]
	l := &Load{
		opts: o, name: name, door: door{tasks: o.CallbackListen == "", run: name},
		placed: newCountdown(o.Clients), all: newCountdown(o.Clients),
	}
	l.api = api.New(o.Internal, o.Secret, o.Timeout, o.Publishers+o.Clients)
	if o.CallbackListen != "" {
		var err error
		if l.told, err = record.Create(record.CallbacksFile(o.Dir)); err != nil {
			return nil, err
		}
		if l.hooks, err = callback.Listen(o.CallbackListen, l.api, func(cb record.Callback) { l.told.Write(cb) }); err != nil {
			return nil, errors.Join(err, l.told.Close())
		}
	}
	if err := l.people(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// CallbackURL is where the gateway has to announce streams; "" if the run goes
// through the task streams of the server.
func (l *Load) CallbackURL() string {
	if l.hooks == nil {
		return ""
	}
	return l.hooks.URL()
}

// people makes publishers and clients, with a file each.
func (l *Load) people() error {
	for n := range l.opts.Publishers {
		out, err := record.Create(record.PublisherFile(l.opts.Dir, n))
		if err != nil {
			return err
		}
		l.publishers = append(l.publishers, &publisher{
			number: n, load: l, api: l.api.StartingAt(n), out: out, byTop: map[int]int{}, random: mathrand.New(mathrand.NewPCG(l.opts.Seed, uint64(n))),
		})
	}
	for n := range l.opts.Clients {
		out, err := record.Create(record.ClientFile(l.opts.Dir, n))
		if err != nil {
			return err
		}
		l.clientOuts = append(l.clientOuts, out)
		c := newClient(n, l, out)
		c.placed, c.all = l.placed.done, l.all.done
		l.clients = append(l.clients, c)
	}
	return nil
}

// Close closes what [New] has opened. Run does it itself.
func (l *Load) Close() error {
	var errs []error
	for _, p := range l.publishers {
		errs = append(errs, p.out.Close())
	}
	for _, out := range l.clientOuts {
		errs = append(errs, out.Close())
	}
	l.publishers, l.clientOuts = nil, nil
	if l.hooks != nil {
		errs = append(errs, l.hooks.Close(), l.told.Close())
	}
	l.hooks = nil
	l.api.Close()
	return errors.Join(errs...)
}

// Run publishes until stop is closed (nil: for Duration), brings the run to its
// end, and closes everything. last, if not nil, is called when all clients have
// left and no disconnect is awaited any more; a server that it stops can tell
// nothing later, so that nothing is told unseen. An error means that there is no run
// to judge; what the server did wrong is found by the judge alone.
func (l *Load) Run(ctx context.Context, stop <-chan struct{}, last func(context.Context) error) (record.Run, error) {
	result := record.Run{
		Publishers: l.opts.Publishers, Topics: l.opts.Topics, Clients: l.opts.Clients, ReplayAll: l.door.tasks, Callbacks: l.hooks != nil, Cuts: l.opts.Cuts,
	}
	err := l.run(ctx, stop, &result)
	if err == nil && last != nil {
		err = last(ctx)
	}
	for _, p := range l.publishers {
		result.Answered += p.answered
		result.Attempts += p.attempts
	}
	result.LongestPause = time.Duration(l.pauses.longest.Load())
	result.LongPauses, result.MedianPause = l.pauses.median()
	if err = errors.Join(err, l.Close()); err != nil {
		return result, err
	}
	return result, record.Finish(l.opts.Dir, result)
}

func (l *Load) run(ctx context.Context, stop <-chan struct{}, result *record.Run) error {
	began := time.Now()
	l.pauses.start()
	if l.door.tasks { // a task that nobody has heard of yet would be told not to be there
		if err := l.everyTopic(ctx, false); err != nil {
			return err
		}
	}
	following, leave := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for _, c := range l.clients {
		clients.Go(func() { c.run(following) })
	}
	err := l.publish(ctx, stop)
	result.Took = time.Since(began)
	if err == nil {
		err = l.end(ctx)
	}
	leave()
	clients.Wait()
	if err == nil && l.hooks != nil {
		settle, cancel := context.WithTimeout(ctx, l.opts.Settle)
		l.hooks.WaitClosed(settle) // if it is not, the judge will say so
		cancel()
	}
	return errors.Join(err, context.Cause(ctx))
}

// publish lets the publishers work until stop, and finish what they are at.
func (l *Load) publish(ctx context.Context, stop <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	group, ctx := errgroup.WithContext(ctx)
	enough := make(chan struct{})
	l.pauses.restart()
	for _, p := range l.publishers {
		group.Go(func() error { return p.run(ctx, enough) })
	}
	var over <-chan time.Time
	if stop == nil {
		timer := time.NewTimer(l.opts.Duration)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-stop:
	case <-ctx.Done(): // from outside, or because a publisher was refused
	}
	close(enough)
	late := time.AfterFunc(l.opts.Settle, func() { cancel(l.notSettled("publishers are still without an answer")) })
	defer late.Stop()
	return group.Wait()
}

// end brings every topic to its end marker, and every client to those.
func (l *Load) end(ctx context.Context) error {
	settle, cancel := context.WithTimeoutCause(ctx, l.opts.Settle, l.notSettled("the end markers of all topics are not answered"))
	defer cancel()
	l.placed.wait(settle) // if one is not, the judge will say so
	l.pauses.restart()
	if err := l.everyTopic(settle, true); err != nil {
		return err
	}
	l.all.wait(settle)
	return nil
}

func (l *Load) notSettled(what string) error {
	return fmt.Errorf("%s %s after the load was over; if the server needs longer, raise --settle", what, l.opts.Settle)
}

// everyTopic publishes one event to each topic.
func (l *Load) everyTopic(ctx context.Context, end bool) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range l.publishers {
		group.Go(func() error {
			for topic := p.number; topic < l.opts.Topics; topic += l.opts.Publishers {
				if err := p.publish(ctx, topic, end); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// countdown is waited for until it is at 0.
type countdown struct {
	mu   sync.Mutex
	left int // guarded by mu
	zero chan struct{}
}

func newCountdown(n int) *countdown {
	return &countdown{left: n, zero: make(chan struct{})}
}

func (c *countdown) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		close(c.zero)
	}
}

// wait returns when it is at 0 or ctx ends.
func (c *countdown) wait(ctx context.Context) {
	select {
	case <-c.zero:
	case <-ctx.Done():
	}
}
