package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/leftover"
	"tidegate/internal/port"
)

// patience is how long a test waits for what must come. Elections of three
// servers on a busy machine take most of it.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	code := leftover.Run(m)
	if dir := builtInto; dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// builtInto is the folder of the server's binary, "" before it is needed.
var builtInto string

// serverBinary builds the nats-server of go.mod, once.
var serverBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tidegate-nats-")
	if err != nil {
		return "", err
	}
	builtInto = dir
	binary := filepath.Join(dir, "nats-server")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return binary, nil
})

// openEmbedded opens an engine with a server in this process in a folder of its
// own. It is closed when the test ends.
func openEmbedded(t testing.TB) *Engine {
	t.Helper()
	return openWith(t, Options{Dir: t.TempDir()})
}

// openWith opens an engine and closes it when the test ends. What it logs goes to
// the test's output.
func openWith(t testing.TB, opts Options) *Engine {
	t.Helper()
	if opts.Log == nil {
		opts.Log = testLog(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := Open(ctx, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(e.Close)
	return e
}

// testLog writes to the output of a test.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// within gives a context that ends with the test or when patience does.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until what holds, or fails the test.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// startServer starts a nats-server process with JetStream, adds the lines of conf
// to its configuration and returns its URL. It is killed when the test ends.
func startServer(t testing.TB, conf ...string) (url string) {
	t.Helper()
	p := newProcess(t, "server")
	p.lines = conf
	p.start(t)
	return p.url()
}

// testCluster is a cluster of nats-server processes.
type testCluster struct {
	t     testing.TB
	nodes []*process
}

// startCluster starts n servers that form a cluster, and waits until JetStream
// answers. They are killed when the test ends.
func startCluster(t testing.TB, n int) *testCluster {
	t.Helper()
	c := &testCluster{t: t}
	for i := range n {
		p := newProcess(t, fmt.Sprintf("n%d", i))
		p.cluster = freeAddress(t)
		c.nodes = append(c.nodes, p)
	}
	for _, p := range c.nodes {
		p.routes = c.routes()
		p.start(t)
	}
	c.Ready()
	return c
}

// URLs lists the servers that were started, also those that have been killed.
func (c *testCluster) URLs() []string {
	var urls []string
	for _, p := range c.nodes {
		urls = append(urls, p.url())
	}
	return urls
}

// Kill ends server i as a crash does, and waits until it is gone.
func (c *testCluster) Kill(i int) { c.nodes[i].kill() }

// Stop ends server i in an orderly way, so that the others know at once.
func (c *testCluster) Stop(i int) { c.nodes[i].end(syscall.SIGTERM) }

// Restart starts server i again, at the address and with the files it had.
func (c *testCluster) Restart(i int) {
	c.t.Helper()
	c.nodes[i].start(c.t)
}

// Ready waits until JetStream answers and all servers that run are in it.
func (c *testCluster) Ready() {
	c.t.Helper()
	nc, err := natsgo.Connect(strings.Join(c.URLs(), ","), natsgo.MaxReconnects(-1), natsgo.RetryOnFailedConnect(true), natsgo.ReconnectWait(50*time.Millisecond))
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	running := 0
	for _, p := range c.nodes {
		if p.cmd != nil {
			running++
		}
	}
	eventually(c.t, "JetStream of the cluster answers", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		defer cancel()
		cfg := jetstream.StreamConfig{Name: "ready", Subjects: []string{"test.ready"}, Replicas: min(running, 3)}
		if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return false
		}
		return js.DeleteStream(ctx, cfg.Name) == nil
	})
}

// Leader tells which server leads a stream, -1 for none.
func (c *testCluster) Leader(stream string) int {
	c.t.Helper()
	nc, err := natsgo.Connect(strings.Join(c.URLs(), ","))
	if err != nil {
		return -1
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return -1
	}
	for i, p := range c.nodes {
		if p.name == s.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return -1
}

// routes lists where the servers listen for each other.
func (c *testCluster) routes() []string {
	var routes []string
	for _, p := range c.nodes {
		routes = append(routes, "nats-route://"+p.cluster)
	}
	return routes
}

// freeAddress draws an address that nobody listens at but who is told of it. Servers
// of a cluster must know each other's before any of them is there to tell.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, release, err := port.Reserve("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// process is a nats-server process and what it is started with.
type process struct {
	name, dir       string
	client, cluster string   // addresses, the same at each start
	routes          []string // of a cluster; none for a server by itself
	lines           []string

	cmd    *exec.Cmd // nil while it does not run
	exited chan struct{}
	out    *os.File
}

func newProcess(t testing.TB, name string) *process {
	t.Helper()
	p := &process{name: name, dir: t.TempDir(), client: freeAddress(t)}
	t.Cleanup(p.kill)
	return p
}

func (p *process) url() string { return "nats://" + p.client }

// start starts the process and waits until it listens. It tries again if it ends.
func (p *process) start(t testing.TB) {
	t.Helper()
	binary, err := serverBinary()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "nats-server "+p.name+" listens", func() bool {
		if err := os.WriteFile(filepath.Join(p.dir, "server.conf"), []byte(p.conf()), 0o600); err != nil {
			t.Fatal(err)
		}
		if p.out, err = os.Create(filepath.Join(p.dir, "server.log")); err != nil {
			t.Fatal(err)
		}
		cmd, exited := exec.Command(binary, "-c", filepath.Join(p.dir, "server.conf")), make(chan struct{})
		cmd.Stdout, cmd.Stderr = p.out, p.out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { // kill waits for it
			_ = cmd.Wait()
			close(exited)
		}()
		p.cmd, p.exited = cmd, exited
		if p.listens() {
			return true
		}
		log, _ := os.ReadFile(p.out.Name())
		t.Logf("nats-server %s ended:\n%s", p.name, log)
		p.kill()
		return false
	})
}

// listens waits until the server has told its ports, or has ended.
func (p *process) listens() bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	path := filepath.Join(p.dir, fmt.Sprintf("nats-server_%d.ports", p.cmd.Process.Pid))
	for {
		select {
		case <-p.exited:
			return false
		case <-tick.C:
		}
		var ports struct{ Nats []string }
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &ports) != nil || len(ports.Nats) == 0 {
			continue
		}
		p.client = address(ports.Nats[0])
		return true
	}
}

// address takes the scheme off a URL.
func address(url string) string {
	_, address, _ := strings.Cut(url, "://")
	return address
}

// conf writes the configuration file.
func (p *process) conf() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\nports_file_dir: %q\n", p.name, p.client, p.dir)
	lines := strings.Join(p.lines, "\n")
	if !strings.Contains(lines, "jetstream") {
		fmt.Fprintf(&b, "jetstream: {store_dir: %q, max_mem: 64MB, max_file: 8GB}\n", p.dir)
	}
	if !strings.Contains(lines, "max_payload") {
		b.WriteString("max_payload: 2MB\n") // its default is less than an event's largest body and its envelope
	}
	if len(p.routes) > 0 {
		fmt.Fprintf(&b, "cluster: {name: test, listen: %q, pool_size: -1, routes: [%s]}\n", p.cluster, strings.Join(p.routes, ", "))
	}
	return b.String() + lines + "\n"
}

// kill ends the process as a crash does.
func (p *process) kill() { p.end(syscall.SIGKILL) }

func (p *process) end(signal os.Signal) {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
	<-p.exited
	_ = p.out.Close()
	p.cmd = nil
}
