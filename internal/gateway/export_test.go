package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"tidegate/internal/stream"
)

// What tests from outside the package look at.
var (
	InternalRoutes = (*Gateway).internalRoutes
	OpenAPI        = openapi
)

// Bounds that tests reach.
const (
	MaxBatchLines = maxBatchLines
	MaxStreamBody = maxStreamBody
	ComeBack      = comeBack
	Breath        = breath
	MaxTurn       = maxTurn
	PaceShare     = paceShare
	TurnPatience  = turnPatience
	QuietAfter    = quietAfter
)

// ErrCrowded is what a client is told whose turn did not come in time.
var ErrCrowded = errCrowded

// Pace is what tests see of a pace, with what it looks at.
type Pace struct {
	*pace
	Delivered, Ready atomic.Uint64
	Used             atomic.Int64 // nanoseconds
	Hurry            atomic.Bool
}

func NewPace() *Pace {
	p := new(Pace)
	p.pace = newPace(p.Delivered.Load, p.Hurry.Load)
	p.ready = p.Ready.Load
	p.used = func() time.Duration { return time.Duration(p.Used.Load()) }
	return p
}

// Patience sets the bound of the wait for a turn.
func (p *Pace) Patience(d time.Duration) { p.patience = d }

func (p *Pace) Begin(ctx context.Context) error { return p.BeginAt(ctx, "192.0.2.1:1") }

// BeginAt is Begin for a client with that address.
func (p *Pace) BeginAt(ctx context.Context, remote string) error {
	return p.begin(ctx, remoteAddr(remote))
}

type remoteAddr string

func (a remoteAddr) RemoteAddr() string { return string(a) }

func (p *Pace) Done()        { p.done() }
func (p *Pace) Under() int64 { return p.under.Load() }

// EasyConnects is how many connects are no crowd here.
func EasyConnects() int { return int(NewPace().easy) }

// Simulate has the gateway write to sockets in memory. It is called before Run.
func (g *Gateway) Simulate(k *stream.Simulation) {
	opts := g.engineOptions()
	opts.Simulation = k
	g.engine = stream.NewEngine(opts)
}

// OpenSimulated opens a stream as a client's request does whose callback is
// accepted, subscribed to a topic, and gives its token.
func (g *Gateway) OpenSimulated(k *stream.Simulation, r *http.Request, topics ...string) (string, error) {
	g.door.enter()
	g.table.reserve(g.opts.MaxConns)
	c := &conn{request: g.requests.Pack(r)}
	g.register(c)
	if _, err := g.opts.Topics.Attach(context.Background(), &c.member, topics, ""); err != nil {
		return "", err
	}
	c.open.Store(true)
	g.opts.Topics.Open(&c.member)
	c.stream.ServeSimulated(k, g.firstFrame(), g.age())
	return c.token.String(), nil
}

// RetryAfter is how a header of a backend is passed on.
func RetryAfter(text string, now time.Time) (value string, wait time.Duration) {
	a := parseRetryAfter(text, now)
	return a.value, a.wait
}

// Turns is what tests see of turns.
type Turns struct{ *turns }

func NewTurns(places int) Turns { return Turns{newTurns(places)} }

func (t Turns) Take(ctx context.Context, remote string, late <-chan time.Time) error {
	return t.take(ctx, remoteAddr(remote), late)
}
func (t Turns) Give()      { t.give() }
func (t Turns) Taken() int { return t.taken() }

// Lines is how many addresses have somebody who waits.
func (t Turns) Lines() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.lines)
}
