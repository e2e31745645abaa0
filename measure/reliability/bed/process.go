// Package bed starts servers as an operator does, as processes on this machine,
// and breaks them: kills them, stops them for a while, cuts them off.
package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrEnded is wrapped when a process has ended that nobody has killed.
var ErrEnded = errors.New("the process ended by itself")

// startTime bounds how long a process may take until it is ready.
const startTime = 60 * time.Second

// Spec says how a process is started, again and again in the same way.
type Spec struct {
	Name  string
	Dir   string   // where its log is, as NAME.log, and its working directory
	Argv  []string // the program first
	Env   []string // all of its environment
	Ready string   // URL that answers 200 when it is ready
}

// Process is a process that can be killed and started again. Its methods belong
// to one goroutine.
type Process struct {
	spec Spec
	cmd  *exec.Cmd     // nil before the first start and after a kill
	gone chan struct{} // closed when cmd has ended
	wait sync.WaitGroup
}

// NewProcess returns a process that is not started.
func NewProcess(s Spec) *Process { return &Process{spec: s} }

// Name is that of the spec.
func (p *Process) Name() string { return p.spec.Name }

// PID is the process's id, 0 if it does not run.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Start starts the process and returns when it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Launch starts the process and does not wait until it is ready.
func (p *Process) Launch() error {
	log, err := os.OpenFile(p.logPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(p.spec.Argv[0], p.spec.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.spec.Dir, p.spec.Env, log, log
	// A Ctrl-C at the terminal is for us: we stop the processes in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	gone := p.gone
	p.wait.Go(func() {
		_ = cmd.Wait() // how it ended is in its state
		close(gone)
	})
	return nil
}

// Wait returns when the process is ready.
func (p *Process) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, p.spec.Ready) {
		select {
		case <-tick.C:
		case <-p.gone:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log ends: %s", p.spec.Name, ctx.Err(), p.logTail())
		}
	}
	return nil
}

// probe asks whether something is ready. Connections are not kept: they would
// be of a process that is killed.
var probe = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := probe.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Kill ends the process at once, as a crash does. It is an error if it has ended
// before.
func (p *Process) Kill() error {
	return p.end(syscall.SIGKILL, nil)
}

// Stop ends the process in order, and kills it once ctx ends. A bad exit code is an error.
func (p *Process) Stop(ctx context.Context) error {
	return p.end(syscall.SIGTERM, ctx.Done())
}

func (p *Process) end(signal syscall.Signal, late <-chan struct{}) error {
	if p.cmd == nil {
		return nil
	}
	select {
	case <-p.gone:
		return p.ended()
	default:
	}
	cmd := p.cmd
	_ = cmd.Process.Signal(signal) // it may end at this moment
	select {
	case <-p.gone:
	case <-late:
		_ = cmd.Process.Kill()
		<-p.gone
		p.cmd = nil
		return fmt.Errorf("%s did not end in order and was killed; its log ends: %s", p.spec.Name, p.logTail())
	}
	p.cmd = nil
	if code := cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		return fmt.Errorf("%s ended with exit code %d after SIGTERM; its log ends: %s", p.spec.Name, code, p.logTail())
	}
	return nil
}

// Suspend stops the process as it is, until Resume: others meet its silence.
func (p *Process) Suspend() error { return p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s: %w: %w", p.spec.Name, ErrEnded, err)
	}
	return nil
}

func (p *Process) ended() error {
	state := p.cmd.ProcessState
	p.cmd = nil
	return fmt.Errorf("%s: %w (%s); its log ends: %s", p.spec.Name, ErrEnded, state, p.logTail())
}

func (p *Process) logPath() string { return filepath.Join(p.spec.Dir, p.spec.Name+".log") }

// logTail is the end of what the process said.
func (p *Process) logTail() string {
	text, _ := os.ReadFile(p.logPath()) // it may not be there
	text = text[max(0, len(text)-2000):]
	return string(bytes.TrimSpace(text))
}
