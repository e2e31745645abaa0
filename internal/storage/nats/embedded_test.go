package nats

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/selfsigned"
	"tidegate/internal/storage/natstest"
)

func TestNobodyElseCanReachTheServer(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	s := e.embedded.current()
	if s.Addr() != nil || e.ListenAddr() != "" {
		t.Errorf("listens at %v", s.Addr())
	}
	if at := s.MonitorAddr(); at != nil {
		t.Errorf("monitoring listens at %v", at)
	}
	if at := s.ClusterAddr(); at != nil {
		t.Errorf("routes listen at %v", at)
	}
	if at := s.ProfilerAddr(); at != nil {
		t.Errorf("the profiler listens at %v", at)
	}
}

func TestOnlyTheOwnerCanReadTheFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "data")
	openWith(t, Options{Dir: dir, Needs: NeedLog})
	for name, want := range map[string]os.FileMode{"": 0o700, "nats": 0o700, "LOCK": 0o600, "boot.json": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %v, want %v", name, got, want)
		}
	}
}

func TestTheServerIsConfiguredAsAskedFor(t *testing.T) {
	t.Parallel()
	for durability, always := range map[Durability]bool{"": false, DurabilityProcess: false, DurabilityPower: true} {
		e := openWith(t, Options{Dir: t.TempDir(), MaxBody: 8 << 20, Durability: durability})
		js := e.embedded.current().JetStreamConfig()
		if js.SyncAlways != always || js.SyncInterval != time.Second {
			t.Errorf("%q: sync always %v, every %v", durability, js.SyncAlways, js.SyncInterval)
		}
		if js.MaxMemory != 64<<20 || js.MaxStore <= 0 {
			t.Errorf("%q: memory %d, store %d", durability, js.MaxMemory, js.MaxStore)
		}
		if got, want := e.nc.MaxPayload(), int64(8<<20+64<<10); got != want {
			t.Errorf("%q: max payload %d, want %d", durability, got, want)
		}
	}
}

func TestTheServerKeepsItsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := openWith(t, Options{Dir: dir})
	first := e.nc.ConnectedServerName()
	e.Close()
	if second := openWith(t, Options{Dir: dir}).nc.ConnectedServerName(); second != first || first == "" {
		t.Errorf("name %q, then %q", first, second)
	}
	if other := openEmbedded(t).nc.ConnectedServerName(); other == first {
		t.Errorf("two servers are called %q", other)
	}
}

func TestWhatWasAcknowledgedIsThereAfterClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := openWith(t, Options{Dir: dir})
	if _, err := e.EventStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := e.js.Publish(t.Context(), e.Subject("ev.a"), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	generation := e.Generation()
	e.Close()

	e = openWith(t, Options{Dir: dir})
	s, err := e.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.LastSeq != 100 || state.Msgs != 100 {
		t.Errorf("%d messages, last %d; want 100", state.Msgs, state.LastSeq)
	}
	if e.Generation() != generation || len(generation) != 8 {
		t.Errorf("generation %q, before %q", e.Generation(), generation)
	}
}

// TestTheServerIsRestartedBehindItsClient restarts it while somebody publishes and
// somebody follows.
func TestTheServerIsRestartedBehindItsClient(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	s, err := e.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan uint64, 100)
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if meta, err := m.Metadata(); err == nil {
			got <- meta.Sequence.Stream
		}
	}, jetstream.PullHeartbeat(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer consuming.Stop()
	publish := func() (err error) { _, err = e.js.Publish(t.Context(), e.Subject("ev.a"), nil); return err }
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	before := e.embedded.current()
	if err := e.embedded.restart(); err != nil {
		t.Fatal(err)
	}
	if e.embedded.current() == before {
		t.Fatal("it is the same server")
	}
	natstest.Eventually(t, "a message is published", func() bool { return publish() == nil })
	for want := range uint64(2) {
		select {
		case seq := <-got:
			if seq != want+1 {
				t.Errorf("message %d, want %d", seq, want+1)
			}
		case <-time.After(natstest.Patience):
			t.Fatalf("message %d did not come", want+1)
		}
	}
}

func TestARestartAfterCloseStartsNothing(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	e.Close()
	if err := e.embedded.restart(); err != errClosed {
		t.Errorf("restart = %v", err)
	}
	if _, err := e.embedded.InProcessConn(); err != errRestarting {
		t.Errorf("InProcessConn = %v", err)
	}
}

func TestListeningServesOtherMachinesAndItself(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e := openWith(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: "open sesame, all of you", TLSCert: files.Cert, TLSKey: files.Key, Needs: NeedLog})
	url := "tls://" + e.ListenAddr()
	other := openWith(t, Options{URLs: []string{url}, Token: "open sesame, all of you", TLSCA: files.Cert, Needs: NeedLog})
	if other.Generation() != e.Generation() || e.Generation() == "" {
		t.Errorf("generations %q and %q", e.Generation(), other.Generation())
	}
	if state, err := other.nc.TLSConnectionState(); err != nil || state.Version < tls.VersionTLS12 {
		t.Errorf("TLS %+v, %v", state, err)
	}
	for name, opts := range map[string]Options{
		"Authorization": {URLs: []string{url}, Token: "guess", TLSCA: files.Cert},
		"certificate":   {URLs: []string{url}, Token: "open sesame, all of you"},
	} {
		if _, err := Open(natstest.Within(t), opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestListeningMayAskForCertificates(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: "sixteen-or-more-t", TLSCert: files.Cert, TLSKey: files.Key, TLSCA: files.Cert}
	e := openWith(t, server)
	client := Options{URLs: []string{"tls://" + e.ListenAddr()}, Token: "sixteen-or-more-t", TLSCA: files.Cert, ConnectWait: time.Second}
	if _, err := Open(natstest.Within(t), client); err == nil {
		t.Error("a client without a certificate was let in")
	}
	client.TLSCert, client.TLSKey = files.Cert, files.Key
	openWith(t, client)
	for name, wrong := range map[string]func(*Options){
		"no such file":   func(o *Options) { o.TLSCert += "x" },
		"no certificate": func(o *Options) { o.TLSCA = files.Key },
		"no number":      func(o *Options) { o.Listen = "127.0.0.1:nats" },
	} {
		server.Dir = t.TempDir()
		opts := server
		wrong(&opts)
		if _, err := Open(natstest.Within(t), opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestAListenerIsAtTheSamePlaceAfterARestart(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Needs: NeedLog})
	other, at := openWith(t, Options{URLs: []string{e.ListenAddr()}, Token: e.opts.Token}), e.ListenAddr()
	if err := e.embedded.restart(); err != nil {
		t.Fatal(err)
	}
	if e.ListenAddr() != at {
		t.Errorf("listens at %s, before at %s", e.ListenAddr(), at)
	}
	natstest.Eventually(t, "the other one is connected again", func() bool {
		_, err := other.js.Publish(t.Context(), other.Subject("ev.a"), nil)
		return err == nil
	})
}

// TestX07ListeningOnLoopbackNeedsATokenToo: every user of the machine gets there. One
// is made where none is given, and stays the same.
func TestX07ListeningOnLoopbackNeedsATokenToo(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "nats-token")
		var token string
		for range 2 {
			e := openWith(t, Options{Dir: dir, Listen: host + ":0", Needs: NeedLog})
			for what, wrong := range map[string][]natsgo.Option{
				"none":         nil,
				"another":      {natsgo.Token("another-of-sixteen")},
				"an empty one": {natsgo.Token("")},
				"a user":       {natsgo.UserInfo("tidegate", "")},
			} {
				if nc, err := natsgo.Connect(e.ListenAddr(), wrong...); !errors.Is(err, natsgo.ErrAuthorization) {
					nc.Close()
					t.Errorf("with %s: %v, want that it is refused", what, err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if now := strings.TrimSpace(string(text)); len(now) < 16 || token != "" && now != token {
				t.Errorf("token %q, before %q", now, token)
			} else {
				token = now
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("file %v, %v", info.Mode(), err)
			}
			other := openWith(t, Options{URLs: []string{e.ListenAddr()}, Token: token, Needs: NeedLog})
			if other.Generation() != e.Generation() {
				t.Errorf("generation %q, want %q", other.Generation(), e.Generation())
			}
			other.Close()
			e.Close()
			if err := os.Chmod(file, 0o644); err != nil { // somebody has copied it back
				t.Fatal(err)
			}
		}
		for _, bad := range []string{"", "short", "two words of which one is long"} {
			if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := refused(t, Options{Dir: dir, Listen: host + ":0"}); !strings.Contains(err, "nats-token") {
				t.Errorf("with %q in the file: %s", bad, err)
			}
		}
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	first := openWith(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	dir := t.TempDir()
	_, err := Open(t.Context(), Options{Dir: dir, Listen: first.ListenAddr(), Log: natstest.Log(t)})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v, want that the address is in use", err)
	}
	openWith(t, Options{Dir: dir}) // the folder is free again
}

func TestTheServerLogsWhereWeDo(t *testing.T) {
	t.Parallel()
	var quiet, all natstest.Lines
	openWith(t, Options{Dir: t.TempDir(), Log: quiet.Logger(slog.LevelInfo)}).Close()
	openWith(t, Options{Dir: t.TempDir(), Log: all.Logger(slog.LevelDebug)}).Close()
	if got := quiet.String(); got != "" {
		t.Errorf("an uneventful life is worth no line: %s", got)
	}
	if got := all.String(); !strings.Contains(got, "level=DEBUG msg=\"Server is ready\" component=nats") {
		t.Errorf("the server's lines are missing: %s", got)
	}
	var levels natstest.Lines
	l := &serverLog{log: levels.Logger(slog.LevelDebug)}
	l.Noticef("a %d", 1)
	l.Warnf("b")
	l.Errorf("c")
	l.Fatalf("d %s", "e")
	for _, want := range []string{`level=DEBUG msg="a 1"`, "level=WARN msg=b", "level=ERROR msg=c", `level=ERROR msg="d e"`} {
		if !strings.Contains(levels.String(), want) {
			t.Errorf("no %q in %s", want, levels.String())
		}
	}
	if l.reason() != "d e" {
		t.Errorf("reason %q", l.reason())
	}
}
