package natstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/checkout"
	"tidegate/internal/port"
)

// builtInto is the folder of the server's binary, "" before it is needed.
var builtInto string

// serverBinary returns the binary of nats-server, built once.
var serverBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tidegate-nats-")
	if err != nil {
		return "", err
	}
	builtInto = dir
	return checkout.TestNATSServer(dir)
})

// FreeAddress draws a free address that no other test gets. Servers
// of a cluster must know the addresses of the others before those run.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, release, err := port.Reserve("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// StartServer starts a nats-server process with JetStream, adds the lines of conf
// to its configuration and returns its URL. It is killed when the test ends.
func StartServer(t testing.TB, conf ...string) (url string) {
	t.Helper()
	p := NewProcess(t, "server")
	p.Lines = conf
	p.Start(t)
	return p.URL()
}

// Process is a nats-server process and what it is started with.
type Process struct {
	Name  string
	Lines []string // of its configuration, for the next Start

	dir             string
	client, cluster string   // addresses, the same at each start
	routes          []string // of a cluster; none for a server by itself

	cmd    *exec.Cmd // nil while it does not run
	exited chan struct{}
	out    *os.File
}

// NewProcess is a server that does not run yet. It is killed when the test ends.
func NewProcess(t testing.TB, name string) *Process {
	t.Helper()
	p := &Process{Name: name, dir: t.TempDir(), client: FreeAddress(t)}
	t.Cleanup(p.Kill)
	return p
}

// URL is where clients connect; it stays the same.
func (p *Process) URL() string { return "nats://" + p.client }

// Start starts the process and waits until it listens. It tries again if it ends.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	binary, err := serverBinary()
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, "nats-server "+p.Name+" listens", func() bool {
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
		t.Logf("nats-server %s ended:\n%s", p.Name, log)
		p.Kill()
		return false
	})
}

// listens waits until the server has written its ports, or has ended.
func (p *Process) listens() bool {
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
func (p *Process) conf() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\nports_file_dir: %q\n", p.Name, p.client, p.dir)
	lines := strings.Join(p.Lines, "\n")
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

// Kill ends the process as a crash does.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Running reports whether the process was started and not killed since.
func (p *Process) Running() bool { return p.cmd != nil }

// Output is what the server has logged since it was started last.
func (p *Process) Output(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p *Process) end(signal os.Signal) {
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
