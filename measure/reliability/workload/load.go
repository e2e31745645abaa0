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

// Load is one run. [New] creates it; Run may be called once.
type Load struct {
	opts      Options
	naming    naming
	name      string // of the run; part of idempotency keys and topics
	clock     record.Clock
	api       *api.Client
	hooks     *callback.Backend // nil if the server's own backend takes callbacks
	callbacks *record.Writer    // nil if hooks is
	pauses    pauses

	publishers []*publisher
	clients    []*client
	positioned *countdown // clients without a position yet
	complete   *countdown // clients without all end markers yet
	clientOuts []*record.Writer
}

// New checks the options, creates the files and listens for callbacks, so that the
// server can be given the URL. The caller must call Run or Close.
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
		opts: o, name: name, naming: naming{tasks: o.CallbackListen == "", run: name},
		positioned: newCountdown(o.Clients), complete: newCountdown(o.Clients),
	}
	l.api = api.New(o.Internal, o.Secret, o.Timeout, o.Publishers+o.Clients)
	if o.CallbackListen != "" {
		var err error
		if l.callbacks, err = record.Create(record.CallbacksFile(o.Dir)); err != nil {
			return nil, err
		}
		if l.hooks, err = callback.Listen(o.CallbackListen, l.api, func(cb record.Callback) { l.callbacks.Write(cb) }); err != nil {
			return nil, errors.Join(err, l.callbacks.Close())
		}
	}
	if err := l.createMembers(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// CallbackURL returns the URL for the gateway's callbacks, or "" if the run uses the
// task streams of serve.
func (l *Load) CallbackURL() string {
	if l.hooks == nil {
		return ""
	}
	return l.hooks.URL()
}

// createMembers creates publishers and clients, with one file each.
func (l *Load) createMembers() error {
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
		c.onPosition, c.onComplete = l.positioned.done, l.complete.done
		l.clients = append(l.clients, c)
	}
	return nil
}

// Close closes what [New] opened. Run calls it.
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
		errs = append(errs, l.hooks.Close(), l.callbacks.Close())
	}
	l.hooks = nil
	l.api.Close()
	return errors.Join(errs...)
}

// Run publishes until stop is closed (if nil, for Duration), ends the run and closes
// everything. It calls last, if that is not nil, when all clients have left and no
// disconnect is due any more: a server that last stops can send no callback that the
// records miss. An error means that there is no run to judge. Faults of the server are
// not errors; the judge finds them.
func (l *Load) Run(ctx context.Context, stop <-chan struct{}, last func(context.Context) error) (record.Run, error) {
	result := record.Run{
		Publishers: l.opts.Publishers, Topics: l.opts.Topics, Clients: l.opts.Clients, ReplayAll: l.naming.tasks, Callbacks: l.hooks != nil, Cuts: l.opts.Cuts,
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
	if l.naming.tasks { // serve answers 404 for a task without any event
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
		l.hooks.WaitClosed(settle) // if disconnects are missing, the judge reports them
		cancel()
	}
	return errors.Join(err, context.Cause(ctx))
}

// publish runs the publishers until stop, and waits for their last answers.
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
	case <-ctx.Done(): // from the caller, or because a publisher failed
	}
	close(enough)
	late := time.AfterFunc(l.opts.Settle, func() { cancel(l.notSettled("publishers still wait for answers")) })
	defer late.Stop()
	return group.Wait()
}

// end publishes the end marker of each topic and waits until all clients have theirs.
func (l *Load) end(ctx context.Context) error {
	settle, cancel := context.WithTimeoutCause(ctx, l.opts.Settle, l.notSettled("not all end markers are answered"))
	defer cancel()
	l.positioned.wait(settle) // if one is missing, the judge reports it
	l.pauses.restart()
	if err := l.everyTopic(settle, true); err != nil {
		return err
	}
	l.complete.wait(settle)
	return nil
}

func (l *Load) notSettled(what string) error {
	return fmt.Errorf("%s %s after the end of the load; if the server needs longer, raise --settle", what, l.opts.Settle)
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

// countdown counts down to 0 and lets others wait for that.
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

// wait returns when the count is 0 or ctx ends.
func (c *countdown) wait(ctx context.Context) {
	select {
	case <-c.zero:
	case <-ctx.Done():
	}
}
