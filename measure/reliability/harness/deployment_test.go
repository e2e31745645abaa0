package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/leftover"
)

// TestMain also runs the server that the tests kill: this program, if the
// environment says so.
func TestMain(m *testing.M) {
	if address := os.Getenv("HARNESS_TEST_LISTEN"); address != "" {
		os.Exit(server(address, os.Getenv("HARNESS_TEST_FAIL") != ""))
	}
	os.Exit(leftover.RunWithDescriptors(m))
}

func server(address string, fail bool) int {
	l, err := net.Listen("tcp", address)
	if err != nil || fail {
		fmt.Println("cannot start:", err)
		return 3
	}
	_ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return 1
}

// process returns such a server, not started yet.
func process(t *testing.T, env ...string) *Process {
	t.Helper()
	var ports Ports
	t.Cleanup(ports.Release)
	address, err := ports.Free("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p := NewProcess(Spec{
		Name: "server", Dir: t.TempDir(), Argv: []string{os.Args[0]}, Env: append(env, "HARNESS_TEST_LISTEN="+address), Ready: "http://" + address + "/",
	})
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

func TestAProcessRestartsWithTheSameSpec(t *testing.T) {
	t.Parallel()
	p := process(t)
	before := 0
	for range 3 {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !answers(t.Context(), p.spec.Ready) || p.PID() == before {
			t.Errorf("process %d after %d does not answer", p.PID(), before)
		}
		before = p.PID()
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if answers(t.Context(), p.spec.Ready) || p.PID() != 0 {
			t.Error("it still answers after it was killed")
		}
	}
}

func TestAProcessThatIsSuspendedAnswersLater(t *testing.T) {
	t.Parallel()
	p := process(t)
	if err := errors.Join(p.Start(t.Context()), p.Suspend()); err != nil {
		t.Fatal(err)
	}
	answered := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return answers(ctx, p.spec.Ready)
	}
	for deadline := time.Now().Add(time.Minute); answered(); { // the signal arrives later
		if time.Now().After(deadline) {
			t.Fatal("it answers while it is suspended")
		}
	}
	if err := errors.Join(p.Resume(), p.Wait(t.Context()), p.Kill()); err != nil {
		t.Error(err)
	}
}

func TestAProcessThatEndsByItselfIsNoticed(t *testing.T) {
	t.Parallel()
	p := process(t, "HARNESS_TEST_FAIL=1")
	if err := p.Start(t.Context()); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "cannot start") {
		t.Errorf("one that does not start: %v", err)
	}
	p = process(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(p.PID(), syscall.SIGKILL)
	<-p.gone
	if err := p.Kill(); !errors.Is(err, ErrEnded) {
		t.Errorf("one that has crashed: %v", err)
	}
	p = process(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "exit code") {
		t.Errorf("one that exits with an error: %v", err)
	}
}

func TestTheLeaderIsFound(t *testing.T) {
	t.Parallel()
	answer := `{"account_details":[{"stream_detail":[{"name":"KV_X","cluster":{"leader":"nats-1"}},{"name":"TIDEGATE_EV","cluster":{"leader":"nats-2"}}]}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jsz" && r.URL.Query().Get("streams") == "true" {
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(s.Close)
	if name := leaderOf(t.Context(), s.URL); name != "nats-2" {
		t.Errorf("the leader is %q", name)
	}
	if name := leaderOf(t.Context(), "http://127.0.0.1:1"); name != "" {
		t.Errorf("the leader of nothing is %q", name)
	}
}

// TestAClusterIsPrepared: every node has its own address, and its flags name the others.
func TestAClusterIsPrepared(t *testing.T) {
	t.Parallel()
	o := Defaults()
	o.Command, o.Dir, o.Tidegate, o.NATS = Cluster, t.TempDir(), os.Args[0], os.Args[0]
	o.CallbackURL = func(address string) string { return "http://" + address + ":1/callback" }
	b, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	addresses := map[string]bool{}
	for _, n := range b.all() {
		addresses[n.addr] = true
	}
	if len(b.all()) != 8 || len(addresses) != 8 || len(b.Public()) != 3 || len(b.Internal()) != 3 || len(b.Tasks()) != 2 {
		t.Errorf("nodes %s with addresses %v", b.Describe(), addresses)
	}
	for _, gateway := range b.gateways {
		args := strings.Join(gateway.spec.Argv, " ")
		if strings.Count(args, "--nats-url") != 3 || !strings.Contains(args, "--callback-url http://127.0.0.1:1/callback") {
			t.Errorf("a gateway is started as %s", args)
		}
	}
	config, err := os.ReadFile(filepath.Join(o.Dir, "nats-2.conf"))
	if err != nil || strings.Count(string(config), ":"+routePort) != 4 || !strings.Contains(string(config), "max_payload: 8MB") {
		t.Errorf("configuration of a NATS server: %s, %v", config, err)
	}
	if faults := b.Faults(); slices.Contains(faults, CutEngine) || len(faults) != 6 {
		t.Errorf("faults without namespaces: %v", faults)
	}
	if b.Cuts(Plan{Rounds: 1, Faults: []string{"kill-leader"}}) || !b.Cuts(Plan{Rounds: 1}) {
		t.Error("the deployment does not know which plans cut nodes off")
	}
	if _, err := b.Inject(t.Context(), "other", rand.New(rand.NewPCG(1, 1)), 0); err == nil {
		t.Error("an unknown fault was done")
	}
}

func TestInvalidOptionsAndPlans(t *testing.T) {
	t.Parallel()
	bad := Options{Command: "other", Servers: 2, Gateways: 0, Backends: 21}
	err := bad.Validate()
	for _, flag := range []string{"--mode", "--servers", "--gateways", "--backends"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not name %s", err, flag)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Plan{Rounds: -1, Down: time.Hour}).Validate(); err == nil || strings.Count(err.Error(), "--") != 3 {
		t.Errorf("an invalid plan: %v", err)
	}
	b := &Deployment{opts: Options{Command: Serve}, net: &network{}}
	if _, err := b.Chosen(Plan{Faults: []string{"cut-nats"}}); err == nil || !strings.Contains(err.Error(), "kill-gateway") {
		t.Errorf("a fault that one process does not allow: %v", err)
	}
	if _, err := New(t.Context(), Options{Dir: t.TempDir(), Command: Serve, Tidegate: "no-such-program"}); err == nil || !strings.Contains(err.Error(), "build it") {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestATemporaryDirectoryIsKeptAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, result := range []error{nil, errors.New("fault")} {
		var dir string
		var out strings.Builder
		err := WorkDir("", "try", &out, func(d string) error {
			dir = d
			return result
		})
		_, stat := os.Stat(dir)
		if err != result || (stat == nil) != (result != nil) || strings.Contains(out.String(), dir) != (result != nil) {
			t.Errorf("result %v: %v, directory %v, printed %q", result, err, stat, out.String())
		}
		_ = os.RemoveAll(dir)
	}
}
