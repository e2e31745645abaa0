// Package harness starts servers as processes on this machine, as an operator does,
// and injects faults: it kills, suspends, restarts and cuts off processes.
package harness

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

// ErrEnded is wrapped by errors about a process that ended without being killed.
var ErrEnded = errors.New("the process ended by itself")

// startTime bounds how long a process may take to become ready.
const startTime = 60 * time.Second

// Spec says how to start a process. Every start uses the same values.
type Spec struct {
	Name  string
	Dir   string   // working directory; the log is NAME.log in it
	Argv  []string // the program first
	Env   []string // the whole environment
	Ready string   // URL that answers 200 once the process is ready
}

// Process is a process that can be killed and started again. Only one goroutine
// may use it.
type Process struct {
	spec Spec
	cmd  *exec.Cmd     // nil before the first start and after a kill
	gone chan struct{} // closed when cmd has ended
	wait sync.WaitGroup
}

// NewProcess returns a process that is not running yet.
func NewProcess(s Spec) *Process { return &Process{spec: s} }

// Name returns the name from the spec.
func (p *Process) Name() string { return p.spec.Name }

// PID returns the process id, or 0 if the process does not run.
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

// Launch starts the process without waiting until it is ready.
func (p *Process) Launch() error {
	log, err := os.OpenFile(p.logPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(p.spec.Argv[0], p.spec.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.spec.Dir, p.spec.Env, log, log
	// Ctrl-C at the terminal must reach only this program, which stops the others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	gone := p.gone
	p.wait.Go(func() {
		_ = cmd.Wait() // cmd.ProcessState says how it ended
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

// probe asks whether a process is ready. It keeps no connections: they would belong
// to a process that is killed next.
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

// Kill ends the process at once, as a crash does. It returns an error if the
// process had already ended.
func (p *Process) Kill() error {
	return p.end(syscall.SIGKILL, nil)
}

// Stop sends SIGTERM, and SIGKILL if ctx ends first. An exit code other than 0 is an
// error.
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
	_ = cmd.Process.Signal(signal) // it may have just ended
	select {
	case <-p.gone:
	case <-late:
		_ = cmd.Process.Kill()
		<-p.gone
		p.cmd = nil
		return fmt.Errorf("%s did not end after SIGTERM and was killed; its log ends: %s", p.spec.Name, p.logTail())
	}
	p.cmd = nil
	if code := cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		return fmt.Errorf("%s ended with exit code %d after SIGTERM; its log ends: %s", p.spec.Name, code, p.logTail())
	}
	return nil
}

// Suspend freezes the process until Resume. Others see it fall silent. It returns when
// no thread can run the program's code any more; system calls may still be under way.
func (p *Process) Suspend() error {
	if err := p.signal(syscall.SIGSTOP); err != nil || p.cmd == nil {
		return err
	}
	if err := awaitStop(p.cmd.Process.Pid); err != nil {
		return fmt.Errorf("%s: %w", p.spec.Name, err)
	}
	return nil
}

// Resume continues a suspended process.
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

// logTail returns the end of the process's log.
func (p *Process) logTail() string {
	text, _ := os.ReadFile(p.logPath()) // it may not exist
	text = text[max(0, len(text)-2000):]
	return string(bytes.TrimSpace(text))
}
