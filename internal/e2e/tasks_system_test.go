package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/port"
)

// internalSecret is what the internal API of a system asks for.
const internalSecret = "internal-s3cret-key"

// flags are the settings of a system: those of its gateway, those of its
// backend. One process has both.
type flags struct {
	gateway, backend []string
	// callbacks and sends, if set, stand between the two processes: they are
	// given the address of the other one and return the one to use.
	callbacks, sends func(target string) string
}

// system is the program under test: streams and tasks, in one process or two.
type system struct {
	flags
	gateway, backend *program // the same one, or two
	web              *http.Client

	// Of two processes.
	address     string // of the backend, which the gateway must know before it is there
	callbackURL string
}

// oneProcess is tidegate serve.
func oneProcess(t *testing.T, f flags) *system {
	t.Helper()
	p := startAs(t, f.serve(freeAddress(t), freeAddress(t))...) // it may be started there again
	s := &system{flags: f, gateway: p, backend: p, web: webClient(t)}
	s.stopAtEnd(t)
	return s
}

func (f flags) serve(public, internal string) []string {
	return slices.Concat([]string{"serve", "--listen", public, "--internal-listen", internal,
		"--internal-secret", internalSecret, "--mode", "testing", "--grace", "0", "--drain-time", "0"}, f.gateway, f.backend)
}

// twoProcesses is tidegate gateway and tidegate backend, with secrets between them.
func twoProcesses(t *testing.T, f flags) *system {
	t.Helper()
	s := &system{flags: f, web: webClient(t), address: freeAddress(t)}
	s.callbackURL = "http://" + s.address
	if f.callbacks != nil {
		s.callbackURL = f.callbacks(s.callbackURL)
	}
	s.startGateway(t, freeAddress(t), freeAddress(t))
	s.startBackend(t)
	return s
}

// startAs starts the program with these arguments and waits until it is ready.
func startAs(t *testing.T, args ...string) *program {
	t.Helper()
	p := launch(t, nil, append([]string{args[0], "--log-format", "json"}, args[1:]...)...)
	p.hide(func() []string { return []string{callbackSecret, internalSecret} })
	select {
	case <-p.ready:
	case <-p.gone:
		t.Fatalf("tidegate %q ended at once", args)
	case <-time.After(patience):
		t.Fatalf("tidegate %q is not ready", args)
	}
	return p
}

// startGateway starts the gateway of two processes.
func (s *system) startGateway(t *testing.T, public, internal string) {
	t.Helper()
	args := s.flags.gateway
	if !slices.Contains(args, "--callback-secret") { // a second one would count beside the first
		args = append([]string{"--callback-secret", callbackSecret}, args...)
	}
	s.gateway = startAs(t, slices.Concat([]string{"gateway",
		"--listen", public, "--internal-listen", internal, "--internal-secret", internalSecret,
		"--callback-url", s.callbackURL + "/api/sse/callback",
		"--grace", "0", "--drain-time", "0"}, args)...)
}

// startBackend starts the backend of two processes, always at the same address.
func (s *system) startBackend(t *testing.T) {
	t.Helper()
	sends := s.gateway.internal
	if s.sends != nil {
		sends = s.sends(sends)
	}
	s.backend = startAs(t, slices.Concat([]string{"backend",
		"--listen", s.address, "--internal-listen", "127.0.0.1:0", "--gateway-url", sends, "--internal-secret", internalSecret,
		"--callback-secret", callbackSecret, "--grace", "0"}, s.flags.backend)...)
	s.stopAtEnd(t)
}

// restartGateway kills the gateway and starts it anew where it was.
func (s *system) restartGateway(t *testing.T) {
	t.Helper()
	s.gateway.kill()
	s.web.CloseIdleConnections()
	s.startGateway(t, strings.TrimPrefix(s.gateway.public, "http://"), strings.TrimPrefix(s.gateway.internal, "http://"))
	s.stopAtEnd(t)
}

// stopAtEnd stops what runs when the test ends, the gateway first: it has
// disconnects to tell the backend of.
func (s *system) stopAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		// A connection that was never used holds a stopping server up for 5 s.
		s.web.CloseIdleConnections()
		s.gateway.stop()
		s.backend.stop()
	})
}

// kill ends the program at once, without a word to anybody.
func (p *program) kill() {
	p.t.Helper()
	p.signal(os.Kill)
	p.exit()
}

// logRecord is one line of the JSON log.
type logRecord map[string]any

func (r logRecord) text(key string) string { s, _ := r[key].(string); return s }

// logged gives the records of the program's log with a message.
func (p *program) logged(msg string) []logRecord {
	var found []logRecord
	for line := range strings.Lines(p.log()) {
		var r logRecord
		if json.Unmarshal([]byte(line), &r) == nil && r.text("msg") == msg {
			found = append(found, r)
		}
	}
	return found
}

// freeAddress is an address on which nobody else listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, release, err := port.Reserve("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// inBothForms runs a test with one process and with two.
func inBothForms(t *testing.T, f flags, test func(t *testing.T, s *system)) {
	t.Helper()
	t.Parallel()
	for name, start := range map[string]func(*testing.T, flags) *system{"one process": oneProcess, "two processes": twoProcesses} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, f))
		})
	}
}

// each calls do for 0 to n-1, a number of them at the same time, and reports the
// first few errors.
func each(t *testing.T, n, atOnce int, do func(i int) error) {
	t.Helper()
	var work sync.WaitGroup
	turns := make(chan int)
	errs := make(chan error, n)
	for range atOnce {
		work.Go(func() {
			for i := range turns {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("number %d: %w", i, err)
				}
			}
		})
	}
	for i := range n {
		turns <- i
	}
	close(turns)
	work.Wait()
	close(errs)
	failed := len(errs)
	for err := range errs {
		if failed-len(errs) <= 5 {
			t.Error(err)
		}
	}
	if failed > 0 {
		t.Fatalf("%d of %d went wrong", failed, n)
	}
}
