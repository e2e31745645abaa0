package bed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what is started.
type Options struct {
	Dir      string // an empty or new directory: data, configurations, logs
	Tidegate string // the program

	// Command is serve or gateway: one process, with storage of its own below
	// Dir unless Memory is set. "cluster" is NATS servers, gateways and backends.
	Command string
	Memory  bool

	NATS       string // the program nats-server; cluster only, as all below
	Servers    int    // of NATS. Default 3
	Gateways   int    // default 3
	Backends   int    // default 2
	Namespaces bool   // a network namespace for each node, so that it can be cut off

	// CallbackURL makes the URL of the gateways' callbacks, from the address at which
	// this process can be reached by them. nil leaves that to the backends of a
	// cluster, and serve has its own.
	CallbackURL func(address string) string

	GatewayFlags []string // further flags for serve or gateway
	BackendFlags []string
}

// Commands of [Options].
const (
	Serve   = "serve"
	Gateway = "gateway"
	Cluster = "cluster"
)

// node is a process with its place in the network.
type node struct {
	*Process
	place int // in the network
	addr  string
}

// Bed is what was started. Its methods belong to one goroutine.
type Bed struct {
	opts     Options
	net      *network
	secret   string
	nats     []*node
	gateways []*node // or the one process
	backends []*node
	places   int
}

// New prepares everything and starts nothing. Close must be called.
func New(ctx context.Context, o Options) (*Bed, error) {
	if !slices.Contains([]string{Serve, Gateway, Cluster}, o.Command) {
		return nil, fmt.Errorf("unknown mode %q; there are %s, %s and %s", o.Command, Serve, Gateway, Cluster)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	programs := []*string{&o.Tidegate}
	if o.Command == Cluster {
		programs = append(programs, &o.NATS)
	}
	for _, program := range programs {
		if *program, err = exec.LookPath(*program); err == nil {
			*program, err = filepath.Abs(*program)
		}
		if err != nil {
			return nil, fmt.Errorf("%w; build it first, see docs/reference/reliability.md", err)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	network, err := newNetwork(ctx, o.Namespaces && o.Command == Cluster)
	if err != nil {
		return nil, err
	}
	b := &Bed{opts: o, net: network, secret: rand.Text(), places: 1}
	if o.Command == Cluster {
		err = b.prepareCluster(ctx)
	} else {
		err = b.prepareSingle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close(ctx))
	}
	return b, nil
}

// place gives the next node its address.
func (b *Bed) place() int {
	b.places++
	return b.places
}

// add makes a node; argv may use its address.
func (b *Bed) add(ctx context.Context, name string, place int, ready string, argv []string) (*node, error) {
	prefix, err := b.net.enter(ctx, place)
	if err != nil {
		return nil, err
	}
	return &node{
		Process: NewProcess(Spec{
			Name: name, Dir: b.opts.Dir, Argv: slices.Concat(prefix, argv), Ready: ready,
			Env: []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + b.opts.Dir,
				"TIDEGATE_INTERNAL_SECRET=" + b.secret, "TIDEGATE_CALLBACK_SECRET=" + b.secret,
				"TIDEGATE_DATA=", // in memory, unless a flag says otherwise
			},
		}),
		place: place, addr: b.net.address(place),
	}, nil
}

const (
	publicPort   = "8080"
	internalPort = "8081"
	backendPort  = "8082"
	scrapePort   = "8083" // of a backend's metrics
)

// tidegateArgs are the flags of every process of Tidegate that has a gateway.
func (b *Bed) tidegateArgs(command, addr string) []string {
	args := []string{
		b.opts.Tidegate, command, "--listen", addr + ":" + publicPort, "--internal-listen", addr + ":" + internalPort, "--internal-open",
		"--heartbeat", "1s", "--drain-time", "0s",
		"--namespace", "load=events:10000,bytes:64MiB,age:1h,replay:none",
	}
	if command != Gateway {
		args = append(args, "--api-open")
	}
	return args
}

func (b *Bed) prepareSingle(ctx context.Context) error {
	place := b.place()
	addr := b.net.address(place)
	args := b.tidegateArgs(b.opts.Command, addr)
	if !b.opts.Memory {
		args = append(args, "--data", filepath.Join(b.opts.Dir, "data"))
	}
	if b.opts.Command == Gateway && b.opts.CallbackURL != nil {
		args = append(args, "--callback-url", b.opts.CallbackURL(b.net.here()))
	}
	n, err := b.add(ctx, b.opts.Command, place, "http://"+addr+":"+publicPort+"/readyz", append(args, b.opts.GatewayFlags...))
	if err != nil {
		return err
	}
	b.gateways = []*node{n}
	return nil
}

// Public and Internal are the base URLs of the gateways, Tasks of what takes
// POST /api/tasks. They stay the same however often a node is started.
func (b *Bed) Public() []string   { return urls(b.gateways, publicPort) }
func (b *Bed) Internal() []string { return urls(b.gateways, internalPort) }

// Tasks: see Public.
func (b *Bed) Tasks() []string {
	if b.opts.Command == Cluster {
		return urls(b.backends, backendPort)
	}
	return b.Public()
}

// Secret is that of the internal listeners.
func (b *Bed) Secret() string { return b.secret }

// Here is the address at which nodes reach this process.
func (b *Bed) Here() string { return b.net.here() }

func urls(nodes []*node, port string) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, "http://"+n.addr+":"+port)
	}
	return list
}

// all nodes, in the order in which they are started.
func (b *Bed) all() []*node { return slices.Concat(b.nats, b.gateways, b.backends) }

// Start starts everything and returns when it is ready.
func (b *Bed) Start(ctx context.Context) error {
	for _, group := range [][]*node{b.nats, b.gateways, b.backends} {
		for _, n := range group {
			if err := n.Launch(); err != nil {
				return err
			}
		}
		for _, n := range group {
			if err := n.Wait(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stop ends all processes of Tidegate in order, as an operator does, and then the rest.
func (b *Bed) Stop(ctx context.Context) error {
	var errs []error
	for _, group := range [][]*node{b.backends, b.gateways, b.nats} {
		for _, n := range group {
			one, cancel := context.WithTimeout(ctx, 60*time.Second)
			err := n.Stop(one)
			cancel()
			if len(b.nats) > 0 && slices.Contains(b.nats, n) {
				err = nil // it says 1 after SIGTERM
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close kills what still runs and takes the network down.
func (b *Bed) Close(ctx context.Context) error {
	for _, n := range b.all() {
		_ = n.Resume() // or it would never end
		_ = n.Kill()   // whether it ended before is told elsewhere
		n.wait.Wait()
	}
	// The context of a program that is being ended must not keep it from tidying up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return b.net.close(ctx)
}

// Describe says what was started, in one line.
func (b *Bed) Describe() string {
	var names []string
	for _, n := range b.all() {
		names = append(names, n.Name())
	}
	where := "loopback"
	if b.net.bridge != "" {
		where = "network namespaces"
	}
	return fmt.Sprintf("%s on %s, in %s", strings.Join(names, ", "), where, b.opts.Dir)
}
