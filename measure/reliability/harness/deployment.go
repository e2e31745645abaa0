package harness

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

// Options say what to start.
type Options struct {
	Dir      string // an empty or new directory for data, configurations and logs
	Tidegate string // the program

	// Command is serve or gateway for one process, which stores its data below Dir
	// unless Memory is set. It is "cluster" for NATS servers, gateways and backends.
	Command string
	Memory  bool

	NATS       string // the program nats-server; for a cluster only, like the next four
	Servers    int    // NATS servers; default 3
	Gateways   int    // default 3
	Backends   int    // default 2
	Namespaces bool   // give each node a network namespace, so that it can be cut off

	// CallbackURL returns the URL for the gateways' callbacks. It receives the address
	// at which the gateways reach this process. If it is nil, a cluster's backends take
	// the callbacks. serve takes its own.
	CallbackURL func(address string) string

	GatewayFlags []string // more flags for serve or gateway
	BackendFlags []string // more flags for the backends of a cluster
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
	place int // number in the network
	addr  string
}

// Deployment is one running server or cluster. Only one goroutine may use it.
type Deployment struct {
	opts     Options
	net      *network
	secret   string
	nats     []*node
	gateways []*node // outside a cluster, the one process
	backends []*node
	places   int
}

// New prepares a deployment and starts nothing. The caller must call Close.
func New(ctx context.Context, o Options) (*Deployment, error) {
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
			return nil, fmt.Errorf("%w; build it first, see docs/guides/check-reliability.md", err)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	network, err := newNetwork(ctx, o.Namespaces && o.Command == Cluster)
	if err != nil {
		return nil, err
	}
	b := &Deployment{opts: o, net: network, secret: rand.Text(), places: 1}
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

// place returns the number of the next node.
func (b *Deployment) place() int {
	b.places++
	return b.places
}

// add creates a node. argv may contain its address.
func (b *Deployment) add(ctx context.Context, name string, place int, ready string, argv []string) (*node, error) {
	prefix, err := b.net.enter(ctx, place)
	if err != nil {
		return nil, err
	}
	return &node{
		Process: NewProcess(Spec{
			Name: name, Dir: b.opts.Dir, Argv: slices.Concat(prefix, argv), Ready: ready,
			Env: []string{
				"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE"), "HOME=" + b.opts.Dir,
				"TIDEGATE_INTERNAL_SECRET=" + b.secret, "TIDEGATE_CALLBACK_SECRET=" + b.secret,
				"TIDEGATE_DATA=", // in memory, unless a flag sets a folder
			},
		}),
		place: place, addr: b.net.address(place),
	}, nil
}

const (
	publicPort   = "8080"
	internalPort = "8081"
	backendPort  = "8082"
	scrapePort   = "8083" // a backend's metrics
)

// tidegateArgs returns the command line of a process that contains a gateway.
func (b *Deployment) tidegateArgs(command, addr string) []string {
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

func (b *Deployment) prepareSingle(ctx context.Context) error {
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

// Public returns the base URLs of the gateways' public listeners. They stay the
// same when a node restarts.
func (b *Deployment) Public() []string { return urls(b.gateways, publicPort) }

// Internal returns the base URLs of the gateways' internal listeners.
func (b *Deployment) Internal() []string { return urls(b.gateways, internalPort) }

// Tasks returns the base URLs of the processes that accept POST /api/tasks.
func (b *Deployment) Tasks() []string {
	if b.opts.Command == Cluster {
		return urls(b.backends, backendPort)
	}
	return b.Public()
}

// Secret returns the bearer token of the internal listeners.
func (b *Deployment) Secret() string { return b.secret }

// Here returns the address at which nodes reach this process.
func (b *Deployment) Here() string { return b.net.here() }

func urls(nodes []*node, port string) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, "http://"+n.addr+":"+port)
	}
	return list
}

// all returns the nodes in the order in which Start starts them.
func (b *Deployment) all() []*node { return slices.Concat(b.nats, b.gateways, b.backends) }

// Start starts all nodes and returns when they are ready.
func (b *Deployment) Start(ctx context.Context) error {
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

// Stop shuts all nodes down as an operator does: Tidegate first, then NATS.
func (b *Deployment) Stop(ctx context.Context) error {
	var errs []error
	for _, group := range [][]*node{b.backends, b.gateways, b.nats} {
		for _, n := range group {
			stopping, cancel := context.WithTimeout(ctx, 60*time.Second)
			err := n.Stop(stopping)
			cancel()
			if len(b.nats) > 0 && slices.Contains(b.nats, n) {
				err = nil // nats-server exits with 1 after SIGTERM
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close kills the processes that still run and removes the network.
func (b *Deployment) Close(ctx context.Context) error {
	for _, n := range b.all() {
		_ = n.Resume() // a suspended process cannot end
		_ = n.Kill()   // an earlier end was reported when it happened
		n.wait.Wait()
	}
	// Clean up even if ctx has already ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return b.net.close(ctx)
}

// Describe returns one line that names the nodes and where they run.
func (b *Deployment) Describe() string {
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
