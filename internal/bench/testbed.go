package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"tidegate/internal/backoff"
)

// linger is the wait for events that should not come, before streams are checked.
const linger = 200 * time.Millisecond

// measurement does one run of one mode on a fresh testbed.
type measurement func(ctx context.Context, b *testbed) error

// testbed is what one run needs: gateway, backend, clients.
type testbed struct {
	opts     *Options
	subject  subject
	mode     string
	report   *report
	log      io.Writer // warnings of what is started
	store    *store
	flags    []string // that the mode has for the gateway
	places   []string // flags for where one listens that is started again
	gateway  *gateway
	backend  *backend
	clients  *clients
	api      api
	endpoint endpoint // with the topic that streams are subscribed to

	sent sent  // what must have arrived at the end
	more []int // processes that are of the bench too
	used usage // by all that was timed
	undo []func() error
}

// runMode does one run of one mode: it builds everything, uses it once, checks it and takes it down in
// the opposite order.
func runMode(ctx context.Context, opts *Options, rep *report, s subject, m mode, log io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, opts.Timeout,
		fmt.Errorf("took longer than --timeout %v; ask for less, or for more time", opts.Timeout))
	defer cancel()
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what broke, broke for this
		}
	}()
	b := &testbed{opts: opts, subject: s, mode: m.name, flags: m.flags, report: rep, log: log}
	defer func() { err = errors.Join(err, b.takeDown()) }()
	if err = b.setUp(ctx, opts.CallbackListen); err != nil {
		return err
	}
	if b.clients, err = startClients(ctx, opts, log); err != nil {
		return err
	}
	b.later(b.clients.stop)
	return b.use(ctx, m)
}

// setUp starts the backend and the gateway.
func (b *testbed) setUp(ctx context.Context, callbacks string) (err error) {
	if b.backend, err = listenBackend(ctx, callbacks); err != nil {
		return err
	}
	b.later(func() error {
		_ = b.backend.listener.Close() // if it was never used
		return nil
	})
	if b.store, err = openStore(ctx, b.opts, b.subject, b.log); err != nil {
		return err
	}
	b.later(func() error { return b.store.close() }) // when the gateway has ended
	if err = b.findGateway(ctx); err != nil {
		return err
	}
	// The gateway sends callbacks to the backend until its end, so it ends first.
	life, end := context.WithCancel(ctx)
	var backend sync.WaitGroup
	backend.Go(func() {
		if err := b.backend.run(life, b.api); err != nil {
			b.backend.fault(err.Error())
		}
	})
	b.later(func() error {
		end()
		backend.Wait()
		return nil
	})
	b.later(func() error { return b.gateway.stop() })
	return nil
}

// later registers a cleanup. takeDown runs cleanups in the opposite order.
func (b *testbed) later(undo func() error) { b.undo = append(b.undo, undo) }

func (b *testbed) takeDown() (err error) {
	for _, undo := range slices.Backward(b.undo) {
		err = errors.Join(err, undo())
	}
	return err
}

// findGateway starts a gateway, or takes the one that runs.
func (b *testbed) findGateway(ctx context.Context) (err error) {
	if b.subject.command == nil {
		b.gateway = &gateway{public: b.opts.Public, internal: b.opts.Internal, pids: b.opts.PIDs}
	} else if b.gateway, err = b.startOne(ctx); err != nil {
		return err
	}
	b.gateway.secret = b.opts.InternalSecret
	if err := b.findAddresses(); err != nil {
		return errors.Join(err, b.gateway.stop())
	}
	return nil
}

// startOne starts a gateway on the storage of the run.
func (b *testbed) startOne(ctx context.Context) (*gateway, error) {
	s := b.subject
	if !s.limit {
		s.command = slices.Concat(s.command[:2], b.flags, b.store.args, s.command[2:], b.places)
	}
	return startGateway(ctx, s, b.backend.callbackURL(), b.log)
}

func (b *testbed) findAddresses() (err error) {
	topic := ""
	if !b.tokensOnly() {
		topic = fmt.Sprintf("bench:%08x", rand.Uint32()) // no history of runs before
	}
	if b.endpoint, err = endpointAt(b.gateway.public, topic); err != nil {
		return err
	}
	b.api, err = apiAt(b.gateway.internal, b.opts.InternalSecret)
	return err
}

// tokensOnly says that there are no topics.
func (b *testbed) tokensOnly() bool { return b.subject.limit || b.opts.bare() }

// use measures, and then checks what was received and that all are reported to
// have left.
func (b *testbed) use(ctx context.Context, m mode) error {
	load, err := readProc("/proc/loadavg", parseLoad)
	if err != nil {
		return err
	}
	if err = m.measure(ctx, b); err != nil && !errors.Is(err, errUndelivered) {
		return err
	}
	got, err := b.checked(ctx)
	if err != nil {
		return err
	}
	if err := b.clients.leave(); err != nil {
		return err
	}
	b.backend.waitLeft(ctx, b.opts.Patience)
	if got.Faults != (faults{}) {
		b.fault(got.Faults.String())
	}
	for _, s := range slices.Concat(got.Samples, b.backend.wrong()) {
		b.fault(s)
	}
	if len(b.gateway.pids) > 0 { // else it counts as one of them
		b.figure(othersFigure, "% of the machine", 100*b.used.foreignShare())
	}
	b.figure(loadFigure, "", load)
	return nil
}

// checked compares what was received with what was sent. Before it does, what
// should not come gets time to come.
func (b *testbed) checked(ctx context.Context) (reply, error) {
	if err := backoff.Wait(ctx, linger); err != nil {
		return reply{}, err
	}
	return b.clients.report(b.sent)
}

func (b *testbed) fault(what string) {
	b.report.Faults = append(b.report.Faults, b.subject.name+": "+b.mode+": "+what)
}

func (b *testbed) figure(name, unit string, value float64) {
	b.report.add(b.subject.beside, b.mode, name, unit, value)
}

// cpuFigures notes the CPU of what was done n times. Without a process id
// there is nothing to note of the gateway.
func (b *testbed) cpuFigures(per string, u usage, n int64) {
	if len(b.gateway.pids) > 0 {
		b.figure("CPU per "+per, "µs", micros(u.gateway)/float64(n))
	}
	b.figure("CPU of bench per "+per, "µs", micros(u.bench)/float64(n))
}

// open opens streams and returns how long it took.
func (b *testbed) open(count int) (time.Duration, error) {
	return b.clients.open(b.endpoint, count, b.opts.Window)
}

// timed returns the CPU that was used while do ran.
func (b *testbed) timed(do func() error) (usage, error) {
	bench := slices.Concat(b.clients.pids(), b.more, []int{os.Getpid()})
	begin, err := takeSample(b.gateway.pids, bench)
	if err != nil {
		return usage{}, err
	}
	doErr := do()
	end, err := takeSample(b.gateway.pids, bench)
	if err := errors.Join(doErr, err); err != nil {
		return usage{}, err
	}
	u := begin.until(end)
	b.used.elapsed += u.elapsed
	b.used.foreign += u.foreign
	return u, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
