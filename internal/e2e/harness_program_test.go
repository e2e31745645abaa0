package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is one run of the binary.
type program struct {
	t    testing.TB
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended and all it said has been read

	mu     sync.Mutex
	stdout bytes.Buffer // guarded by mu
	stderr bytes.Buffer // guarded by mu

	ready            chan struct{} // closed when the line that says so has come
	public, internal string        // base URLs, once it is ready
	hidden           []func() []string
}

// launch runs the binary with the given environment, and nothing else of ours.
// It is killed at the end of the test if it has not ended by then.
func launch(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	return launchIn(t, t.TempDir(), env, args...)
}

// launchIn is launch with a working directory.
func launchIn(t testing.TB, dir string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(binary, args...), gone: make(chan struct{}), ready: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(environment(p.cmd.Dir), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.collect(stdout, stderr) // ends with the process, which the cleanup waits for
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.gone
		p.wantNothingSecret()
		if t.Failed() {
			t.Logf("tidegate %s\nsaid:\n%s\nlogged:\n%s", strings.Join(args, " "), tail(p.out()), tail(p.log()))
		}
	})
	return p
}

// gorace are the options of the race detector for programs under test. By default each
// process would sleep for a second before it exits.
const gorace = "atexit_sleep_ms=10"

// environment returns the environment of a program under test.
func environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GORACE=" + gorace}
}

func (p *program) collect(stdout, stderr io.Reader) {
	defer close(p.gone)
	var reading sync.WaitGroup
	reading.Go(func() { p.keep(&p.stdout, stdout, func([]byte) {}) })
	reading.Go(func() { p.keep(&p.stderr, stderr, p.readLine) })
	reading.Wait()
	_ = p.cmd.Wait() // its state is looked at
}

// keep collects lines and shows each to look.
func (p *program) keep(into *bytes.Buffer, from io.Reader, look func(line []byte)) {
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadBytes('\n')
		look(line)
		p.mu.Lock()
		into.Write(line)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *program) readLine(line []byte) {
	var entry struct{ Msg, Public, Internal string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "ready" && p.public == "" {
		p.public, p.internal = entry.Public, entry.Internal
		close(p.ready)
	}
}

// start runs `tidegate COMMAND` on free ports and waits until it is ready.
func start(t testing.TB, command string, args ...string) *program {
	t.Helper()
	return startWith(t, nil, command, args...)
}

func startWith(t testing.TB, env []string, command string, args ...string) *program {
	t.Helper()
	return startIn(t, t.TempDir(), env, command, args...)
}

// startIn is startWith with a working directory.
func startIn(t testing.TB, dir string, env []string, command string, args ...string) *program {
	t.Helper()
	all := append([]string{command, "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"}, args...)
	p := launchIn(t, dir, env, all...)
	select {
	case <-p.ready:
	case <-p.gone:
		t.Fatalf("tidegate %s ended at once: %s", command, p.log())
	case <-time.After(patience):
		t.Fatalf("tidegate %s is not ready: %s", command, p.log())
	}
	return p
}

// hide says what must not be in the output.
func (p *program) hide(secrets func() []string) { p.hidden = append(p.hidden, secrets) }

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

func (p *program) out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", s, err)
	}
}

// exit waits for the end and gives the exit code, -1 for a signal.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience + 20*time.Second):
		p.t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends the program as an operator does, and wants a clean end.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	if code := p.exit(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM, want 0: %s", code, tail(p.log()))
	}
}

var aToken = regexp.MustCompile(`[A-Za-z0-9_-]{22,}`)

// wantNothingSecret looks for tokens, cookies and secrets in all that the
// program said.
func (p *program) wantNothingSecret() {
	p.t.Helper()
	text := p.out() + p.log()
	words := map[string]bool{}
	for _, word := range aToken.FindAllString(text, -1) {
		words[word] = true
	}
	for _, secrets := range p.hidden {
		for _, secret := range secrets() {
			if words[secret] || len(secret) < 22 && strings.Contains(text, secret) {
				p.t.Errorf("the program's output contains the secret %q", secret)
			}
		}
	}
	if strings.Contains(text, cookieValue) {
		p.t.Error("the program's output contains a cookie")
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
		p.t.Errorf("the program is broken: %s", tail(text))
	}
}

// tail is the end of a text that may be long.
func tail(text string) string {
	const most = 8 << 10
	return text[max(0, len(text)-most):]
}
