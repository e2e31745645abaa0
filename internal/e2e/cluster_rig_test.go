package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/checkout"
)

// natsBinary returns the binary of the NATS server, built once.
var natsBinary = sync.OnceValues(func() (string, error) { return checkout.TestNATSServer(scratch) })

// natsServers starts n servers with JetStream, which form a cluster if they are
// more than one, and gives their URLs. They are killed when the test ends.
func natsServers(t *testing.T, n int) (urls []string) {
	t.Helper()
	path, err := natsBinary()
	if err != nil {
		t.Fatal(err)
	}
	addresses, routes := make([]string, n), make([]string, n)
	for i := range n {
		addresses[i] = freeAddress(t)
		routes[i] = "nats-route://" + addresses[i]
	}
	for i := range n {
		dir := t.TempDir()
		conf := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:-1\"\nports_file_dir: %q\nmax_payload: 8MB\njetstream: {store_dir: %q, max_mem: 64MB, max_file: 64GB}\n", i, dir, dir)
		if n > 1 {
			conf += fmt.Sprintf("cluster: {name: test, listen: %q, pool_size: -1, routes: [%s]}\n", addresses[i], strings.Join(routes, ", "))
		}
		urls = append(urls, natsServer(t, path, dir, conf))
	}
	return urls
}

// natsServer starts one server and waits until it listens.
func natsServer(t testing.TB, path, dir, conf string) (url string) {
	t.Helper()
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("nats-server logged:\n%s", tail(string(text)))
		}
	})
	eventually(t, "nats-server listens", func() bool {
		var ports struct{ Nats []string }
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("nats-server_%d.ports", cmd.Process.Pid)))
		if err != nil || json.Unmarshal(text, &ports) != nil || len(ports.Nats) == 0 {
			return false
		}
		url = ports.Nats[0]
		return true
	})
	return url
}

// node starts a gateway before this backend that has its storage at urls.
func (h *hooks) node(urls []string, args ...string) *program {
	h.t.Helper()
	args = append([]string{"--store-size", "64MiB"}, args...)
	for _, url := range urls {
		args = append(args, "--nats-url", url)
	}
	return h.gateway(args...)
}

// clustered starts n gateways that share storage, and waits until they know each
// other.
func (h *hooks) clustered(n int, urls []string, args ...string) (nodes []*program, apis []*api) {
	h.t.Helper()
	for range n {
		p := h.node(urls, args...)
		nodes, apis = append(nodes, p), append(apis, p.api())
	}
	for _, a := range apis {
		a.awaitNodes(n)
	}
	return nodes, apis
}

// awaitNodes waits until a gateway knows of n nodes, itself among them.
func (a *api) awaitNodes(n int) {
	a.t.Helper()
	eventually(a.t, fmt.Sprintf("%d nodes know each other", n), func() bool {
		status, answer := a.call(http.MethodGet, "/internal/cluster", "", "")
		var cluster struct{ Nodes []string }
		return status == http.StatusOK && json.Unmarshal([]byte(answer), &cluster) == nil && len(cluster.Nodes) == n
	})
}

// publish appends an event to a topic, and returns its id and receivers.
func (a *api) publish(topic, data string) (id string, receivers int) {
	a.t.Helper()
	status, answer := a.send(toTopic(topic, data))
	var receipt struct {
		ID        string
		Receivers int
	}
	if err := json.Unmarshal([]byte(answer), &receipt); err != nil || status != http.StatusOK {
		a.t.Fatalf("publish: %d %s", status, answer)
	}
	return receipt.ID, receipt.Receivers
}

// publishMany appends numbered events to one topic, in batches.
func (a *api) publishMany(topic string, from, to int) {
	a.t.Helper()
	for from < to {
		n := min(10_000, to-from)
		var lines strings.Builder
		for i := range n {
			lines.WriteString(toTopic(topic, fmt.Sprint(from+i)) + "\n")
		}
		status, answer := a.call(http.MethodPost, "/internal/send", "application/x-ndjson", lines.String())
		if taken := strings.Count(answer, `"code":200`); status != http.StatusOK || taken != n {
			a.t.Fatalf("batch: %d, %d of %d lines were taken: %.500s", status, taken, n, answer)
		}
		from += n
	}
}

// ready asks whether new streams are welcome.
func (a *api) ready() bool {
	status, _, err := a.try(http.MethodGet, "/readyz", "", "")
	return err == nil && status == http.StatusOK
}

// next reads an event and gives its id and its data.
func (c *client) next() (id, data string) {
	c.t.Helper()
	ev := c.event()
	return ev.ID, ev.Data
}

// stallingLink is a network between a gateway and a NATS server that can stop
// forwarding without closing anything.
type stallingLink struct {
	url string
	far string

	mu     sync.Mutex
	stuck  chan struct{}     // guarded by mu: closed when it goes on; nil while it forwards
	conns  map[net.Conn]bool // guarded by mu
	closed bool              // guarded by mu
}

func newStallingLink(t testing.TB, url string) *stallingLink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stallingLink{url: "nats://" + l.Addr().String(), far: strings.TrimPrefix(url, "nats://"), conns: map[net.Conn]bool{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			far, err := net.Dial("tcp", s.far)
			if err != nil {
				_ = near.Close()
				continue
			}
			if !s.keep(near, far) {
				return
			}
			work.Go(func() { s.forward(near, far) })
			work.Go(func() { s.forward(far, near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.cut()
		s.flow()
		work.Wait()
	})
	return s
}

// keep remembers connections for the end. After it they are closed at once.
func (s *stallingLink) keep(conns ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conns {
		if s.conns[c] = true; s.closed {
			_ = c.Close()
		}
	}
	return !s.closed
}

func (s *stallingLink) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *stallingLink) forward(from, to net.Conn) {
	defer func() { _ = to.Close() }()
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		s.pass()
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// pass waits while the link is stuck.
func (s *stallingLink) pass() {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
}

// stall stops forwarding, and says when.
func (s *stallingLink) stall() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = make(chan struct{})
	return time.Now()
}

// flow goes on forwarding.
func (s *stallingLink) flow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck != nil {
		close(s.stuck)
		s.stuck = nil
	}
}
