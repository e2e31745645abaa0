package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// gateway is the gateway that bench measures: a process that it starts, or one that runs already.
type gateway struct {
	public, internal string // base URLs
	secret           string // bearer token of the internal API; "" for none
	pids             []int  // none: its CPU and memory are not known

	cmd  *exec.Cmd // nil if it ran already
	logs sync.WaitGroup
}

// startGateway starts a gateway on loopback and waits until it is ready. Its warnings go to log. The
// end of ctx kills it; stop ends it in order.
func startGateway(ctx context.Context, s subject, callbackURL string, log io.Writer) (*gateway, error) {
	args := slices.Concat(s.command[1:], []string{"--callback-url", callbackURL})
	g := &gateway{cmd: exec.CommandContext(ctx, s.command[0], args...)}
	g.cmd.Env = s.env
	// The log is read through a pipe of our own, which Wait does not close
	// before all is read.
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	g.cmd.Stderr = out
	err = g.cmd.Start()
	_ = out.Close()
	if err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	g.pids = []int{g.cmd.Process.Pid}
	ready := make(chan bool, 1)
	g.logs.Go(func() {
		defer in.Close()
		g.follow(in, log, ready)
	})
	if <-ready {
		return g, nil
	}
	return nil, errors.Join(errors.New("the gateway did not start"), g.stop())
}

const (
	stopPatience    = 15 * time.Second
	metricsPatience = 5 * time.Second
)

// follow reads the gateway's log. It sets the addresses and then sends to ready; it prints warnings and
// errors. It closes ready at the end of the log.
func (g *gateway) follow(in io.Reader, log io.Writer, ready chan<- bool) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for isReady := false; lines.Scan(); {
		var line struct {
			Level, Msg, Public, Internal string
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Level == "WARN" || line.Level == "ERROR" {
			fmt.Fprintf(log, "gateway: %s\n", lines.Bytes())
		}
		if line.Msg == "ready" && !isReady {
			g.public, g.internal = line.Public, line.Internal
			isReady = true
			ready <- true
		}
	}
	_, _ = io.Copy(io.Discard, in) // a line that is too long must not block it
	close(ready)
}

// stop ends a gateway that was started, and waits for it.
func (g *gateway) stop() error {
	if g == nil || g.cmd == nil {
		return nil
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopPatience, func() { _ = g.cmd.Process.Kill() })
	err := g.cmd.Wait()
	inTime := kill.Stop()
	g.logs.Wait()
	switch {
	case !inTime:
		return fmt.Errorf("the gateway did not end within %v of SIGTERM, and was killed", stopPatience)
	case err != nil:
		return fmt.Errorf("the gateway ended with an error: %w", err)
	}
	return nil
}

// kill ends a gateway with SIGKILL.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait() // says that it was killed
	g.logs.Wait()
}

// goroutines returns the number of goroutines of a gateway in Go, by its metrics; -1 if they lack it.
func (g *gateway) goroutines(ctx context.Context) float64 {
	ctx, cancel := context.WithTimeout(ctx, metricsPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.internal+"/metrics", nil)
	if err != nil {
		return -1
	}
	req.Close = true // no connection is left idle
	if g.secret != "" {
		req.Header.Set("Authorization", "Bearer "+g.secret)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || resp.StatusCode != http.StatusOK {
		return -1
	}
	n, ok := metric(string(text), "go_goroutines")
	if !ok {
		return -1
	}
	return n
}

// metric finds a value without labels in the Prometheus text format.
func metric(text, name string) (float64, bool) {
	for line := range strings.Lines(text) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n, err == nil
		}
	}
	return 0, false
}
