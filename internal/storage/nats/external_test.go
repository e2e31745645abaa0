package nats

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/storage/natstest"
)

// refused opens an engine that must not open and returns the reason.
func refused(t *testing.T, opts Options) string {
	t.Helper()
	opts.Log = natstest.Log(t)
	e, err := Open(natstest.Within(t), opts)
	if err == nil {
		e.Close()
		t.Fatalf("opened with %+v", opts)
	}
	return err.Error()
}

func TestNobodyThereIsSaidAfterABoundedTime(t *testing.T) {
	t.Parallel()
	url := "nats://user:secret@" + natstest.FreeAddress(t)
	err := refused(t, Options{URLs: []string{url}, ConnectWait: 300 * time.Millisecond})
	if !strings.Contains(err, "connect to NATS at nats://user:xxxxx@127.0.0.1") || strings.Contains(err, "secret") {
		t.Errorf("error %s", err)
	}
}

func TestSecretsInURLsAreNotShown(t *testing.T) {
	t.Parallel()
	got := redacted([]string{"nats://user:secret@a:1", "tls://secret@b", "c:2", "d"})
	if want := "nats://user:xxxxx@a:1, tls://xxxxx@b, nats://c:2, nats://d"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAServerThatStartsLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	p := natstest.NewProcess(t, "late")
	opened := make(chan error, 1)
	ctx, url := natstest.Within(t), p.URL()
	go func() {
		e, err := Open(ctx, Options{URLs: []string{url}, Needs: NeedLog, ConnectWait: natstest.Patience})
		if err == nil {
			e.Close()
		}
		opened <- err
	}()
	p.Start(t)
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestOneOfSeveralURLsIsEnough(t *testing.T) {
	t.Parallel()
	url := natstest.StartServer(t)
	openWith(t, Options{URLs: []string{"nats://" + natstest.FreeAddress(t), strings.TrimPrefix(url, "nats://")}, Needs: NeedLog})
}

func TestTheConnectionHasAName(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{URLs: []string{natstest.StartServer(t)}, Command: "gateway", Node: "abcdefgh"})
	if e.nc.Opts.Name != "tidegate gateway/abcdefgh" {
		t.Errorf("name %q", e.nc.Opts.Name)
	}
}

func TestAServerWithoutJetStreamIsRefused(t *testing.T) {
	t.Parallel()
	err := refused(t, Options{URLs: []string{natstest.StartServer(t, "# no jetstream")}, ConnectWait: time.Second})
	if !strings.Contains(err, "JetStream does not answer") {
		t.Errorf("error %s", err)
	}
	err = refused(t, Options{ConnectWait: time.Hour, User: "u", Password: "p", URLs: []string{natstest.StartServer(t,
		`jetstream: {store_dir: "`+t.TempDir()+`"}`,
		`accounts: {A: {users: [{user: u, password: p}]}, B: {jetstream: enabled}}`)}})
	if !strings.Contains(err, "not enabled for this account") {
		t.Errorf("error %s", err)
	}
}

func TestAServerThatTakesTooSmallMessagesIsRefused(t *testing.T) {
	t.Parallel()
	url := natstest.StartServer(t, "max_payload: 512KB")
	err := refused(t, Options{URLs: []string{url}})
	for _, want := range []string{"max_payload is 524288 bytes", "1052672", "raise max_payload", "lower --max-body to 520192"} {
		if !strings.Contains(err, want) {
			t.Errorf("no %q in %s", want, err)
		}
	}
	openWith(t, Options{URLs: []string{url}, MaxBody: 520192})
}

func TestOldServersAreRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.15.0": true, "2.15.0-RC.1": true, "2.15.2": true, "3.0.0": true, "v2.16.1": true,
		"2.14.9": false, "2.12.0": false, "2.9.10": false, "1.99.0": false, "": false, "x.y": false, "2": false,
	} {
		if got := isRecent(version); got != want {
			t.Errorf("isRecent(%q) = %v", version, got)
		}
	}
	err := refused(t, Options{URLs: []string{oldServer(t)}, ConnectWait: time.Hour})
	if !strings.Contains(err, "version 2.9.10 is too old: want 2.15 or later") {
		t.Errorf("error %s", err)
	}
}

// oldServer says as much as an old server says before it is rejected.
func oldServer(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Write([]byte(`INFO {"server_id":"old","version":"2.9.10","max_payload":1048576,"headers":true}` + "\r\n"))
		buf, got := make([]byte, 4096), ""
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if got += string(buf[:n]); strings.Contains(got, "PING\r\n") {
				_, _ = conn.Write([]byte("PONG\r\n"))
				got = ""
			}
		}
	}()
	return "nats://" + l.Addr().String()
}

func TestWhatIsNotPermittedIsSaid(t *testing.T) {
	t.Parallel()
	const user = `authorization: {users: [{user: u, password: p, permissions: {publish: {allow: %s}, subscribe: ["_INBOX.>"]}}]}`
	for denied, allowed := range map[string]string{
		"$JS.API.INFO":                      `["x"]`,
		"$JS.API.STREAM.CREATE.TIDEGATE_EV": `["$JS.API.INFO", "$JS.API.STREAM.INFO.>"]`,
	} {
		var log natstest.Lines
		url := natstest.StartServer(t, fmt.Sprintf(user, allowed))
		_, err := Open(natstest.Within(t), Options{URLs: []string{url}, User: "u", Password: "p", Needs: NeedLog, Log: log.Logger(slog.LevelInfo)})
		if err == nil || !strings.Contains(err.Error(), denied) || !strings.Contains(err.Error(), "ermitted") && !strings.Contains(err.Error(), "may not be used") {
			t.Errorf("error %v, want one that names %s", err, denied)
		}
		if !strings.Contains(log.String(), denied) {
			t.Errorf("the log does not name %s: %s", denied, log.String())
		}
	}
}

// TestAConnectionComesBackAndKeepsNothing that was published meanwhile.
func TestAConnectionComesBackAndKeepsNothing(t *testing.T) {
	t.Parallel()
	p := natstest.NewProcess(t, "server")
	p.Start(t)
	e := openWith(t, Options{URLs: []string{p.URL()}, Needs: NeedLog})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = e.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	if got := e.Health(); len(got) > 0 {
		t.Errorf("health %q", got)
	}
	p.Kill()
	natstest.Eventually(t, "the loss shows", func() bool { return strings.Contains(strings.Join(e.Health(), ";"), "not connected") })
	if err := e.nc.Publish("tidegate.x", nil); err != natsgo.ErrReconnectBufExceeded {
		t.Errorf("publish while away = %v, want an error at once", err)
	}
	p.Start(t)
	natstest.Eventually(t, "all is well again", func() bool { return len(e.Health()) == 0 })
}

// TestARefusalIsNotTheEnd of a connection: a server that has other passwords after
// it was restarted may get the old ones back.
func TestARefusalIsNotTheEnd(t *testing.T) {
	t.Parallel()
	p := natstest.NewProcess(t, "server")
	p.Start(t)
	var log natstest.Lines
	e := openWith(t, Options{URLs: []string{p.URL()}, Log: log.Logger(slog.LevelInfo)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = e.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for _, step := range []struct {
		conf, health string
		refusals     int // that the server has logged
	}{
		{`authorization: {token: "other"}`, "not connected to NATS: nats: authorization violation", 3}, {},
	} {
		p.Kill()
		p.Lines = []string{step.conf}
		p.Start(t)
		natstest.Eventually(t, "health is "+step.health, func() bool {
			refusals := strings.Count(p.Output(t), "authentication error")
			return strings.EqualFold(strings.Join(e.Health(), "; "), step.health) && refusals >= step.refusals
		})
	}
	if want := `msg="not ready" component=nats reason="not connected to NATS: nats: `; !strings.Contains(log.String(), want) {
		t.Errorf("no %s in %s", want, log.String())
	}
}

func TestAClusterLosesALeader(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t, 3)
	e := openWith(t, Options{URLs: c.URLs(), Needs: NeedLog})
	leader := -1
	natstest.Eventually(t, "there is a leader", func() bool { leader = c.Leader("TIDEGATE_EV"); return leader >= 0 })
	publish := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := e.js.Publish(ctx, e.Subject("ev.a"), nil)
		return err == nil
	}
	natstest.Eventually(t, "a message is published", publish)
	c.Kill(leader)
	// X38: while nobody leads it the stream is there, and a problem.
	status := e.Status(natstest.Within(t))
	if len(status.Streams) != 1 || status.Streams[0].Name != "TIDEGATE_EV" || !strings.Contains(strings.Join(status.Health, "; "), "stream TIDEGATE_EV: ") {
		t.Errorf("without a leader: streams %+v, problems %q", status.Streams, status.Health)
	}
	natstest.Eventually(t, "a message is published without that leader", publish)
	// X38: the server that is away is named, long before NATS gives it up.
	natstest.Eventually(t, "all questions are answered", func() (ok bool) {
		status = e.Status(natstest.Within(t))
		return len(status.Streams) == 1 && status.Streams[0].Error == "" && len(status.Streams[0].Offline) == 1
	})
	s := status.Streams[0]
	if status.Mode != "external" || status.Cluster != "test" || s.Name != "TIDEGATE_EV" || s.Replicas != 3 || s.Leader == "" || s.Messages < 2 {
		t.Errorf("status %+v", status)
	}
	if want := "server " + s.Offline[0] + " is away, which has a copy of TIDEGATE_EV"; !slices.Contains(status.Health, want) || s.Offline[0] == s.Leader {
		t.Errorf("problems %q, want %q", status.Health, want)
	}
	c.Restart(leader)
	natstest.Eventually(t, "all is well when it is back", func() bool { return len(e.Status(natstest.Within(t)).Health) == 0 })
}
