package nats

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	natsgo "github.com/nats-io/nats.go"
)

func TestOptionsThatCannotWorkAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		opts Options
		want string
	}{
		"neither folder nor URLs":      {Options{}, "data folder or URLs"},
		"both folder and URLs":         {Options{Dir: dir, URLs: []string{"nats://x"}}, "not both"},
		"prefix":                       {Options{Dir: dir, Prefix: "a.b"}, `prefix "a.b"`},
		"prefix in capitals":           {Options{Dir: dir, Prefix: "A"}, `prefix "A"`},
		"body":                         {Options{Dir: dir, MaxBody: 2 << 30}, "--max-body"},
		"events":                       {Options{Dir: dir, MaxEvents: -1}, "-1 events"},
		"sizes":                        {Options{Dir: dir, TasksBytes: -1}, "from 0 on"},
		"durability":                   {Options{Dir: dir, Durability: "often"}, "process or power"},
		"replicas in process":          {Options{Dir: dir, Replicas: 3}, "--nats-url"},
		"replicas":                     {Options{URLs: []string{"x"}, Replicas: 6}, "1 to 5"},
		"certificate without key":      {Options{URLs: []string{"x"}, TLSCert: "c"}, "go together"},
		"credentials in process":       {Options{Dir: dir, Credentials: "c"}, "--nats-url"},
		"token for nobody":             {Options{Dir: dir, Token: "t"}, "nobody else can connect"},
		"listen with URLs":             {Options{URLs: []string{"x"}, Listen: "127.0.0.1:0"}, "--nats-listen"},
		"listen without port":          {Options{Dir: dir, Listen: "127.0.0.1"}, "host:port"},
		"listen to all, no token":      {Options{Dir: dir, Listen: ":0", TLSCert: "c", TLSKey: "k"}, "needs a token and TLS"},
		"listen with a short token":    {Options{Dir: dir, Listen: "127.0.0.1:0", Token: "fifteen-letters"}, "give 16 or more"},
		"listen to all, no TLS":        {Options{Dir: dir, Listen: "0.0.0.0:0", Token: "sixteen-or-more-t"}, "needs a token and TLS"},
		"listen to another, no either": {Options{Dir: dir, Listen: "192.0.2.1:0"}, "needs a token and TLS"},
		"URL":                          {Options{URLs: []string{"nats://u:secret@h:x"}}, "URL 1 of NATS"},
	} {
		_, err := Open(t.Context(), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
}

func TestListeningForAllIsRightWithTokenAndTLS(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: "d", Listen: ":4222", Token: "sixteen-or-more-t", TLSCert: "c", TLSKey: "k"}.withDefaults()
	if err := opts.validate(); err != nil {
		t.Error(err)
	}
}

func TestSubjectsAndStreamsHaveThePrefix(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Prefix: "blue-1"})
	if got := e.Subject("ev.x"); got != "blue-1.ev.x" {
		t.Errorf("subject %q", got)
	}
	if got := e.StreamName("EV"); got != "BLUE-1_EV" {
		t.Errorf("stream %q", got)
	}
	s, err := e.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().Config; c.Name != "BLUE-1_EV" || c.Subjects[0] != "blue-1.ev.>" {
		t.Errorf("stream %q of %q", c.Name, c.Subjects)
	}
}

func TestNodeNamesAre8LowercaseLettersAndDigits(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		name := RandomName()
		if len(name) != 8 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Fatalf("RandomName() = %q", name)
		}
		seen[name] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d names of 1000 draws", len(seen))
	}
}

func TestCloseMayComeTwiceAndRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		e.CheckNow()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	e.Close()
	e.Close()
	if err := e.nc.Publish("x", nil); !errors.Is(err, natsgo.ErrConnectionClosed) {
		t.Errorf("publish after Close = %v", err)
	}
}

// TestOpeningANewFolderTakesFewSteps counts what grows with each stream that is
// added: questions to JetStream, and times that all has to be on the disk.
func TestOpeningANewFolderTakesFewSteps(t *testing.T) {
	t.Parallel()
	var syncs atomic.Int64
	opts := Options{Dir: t.TempDir(), Needs: NeedLog | NeedSessions | NeedNodes | NeedTasks,
		sync: func(dir string) error { syncs.Add(1); return syncAll(dir) }}
	e := openWith(t, opts)
	streams := uint64(len(e.definitions(opts.Needs)))
	if got := syncs.Load(); got != 1 {
		t.Errorf("a new folder was synced %d times, want once", got)
	}
	// Each stream is asked for and made, and each question is its own message.
	if sent := e.nc.Stats().OutMsgs; sent > 2*streams+2 {
		t.Errorf("%d messages for %d streams", sent, streams)
	}
	e.Close()

	syncs.Store(0)
	e = openWith(t, opts)
	if got := syncs.Load(); got != 0 {
		t.Errorf("a folder that is as it should be was synced %d times", got)
	}
	if sent := e.nc.Stats().OutMsgs; sent > streams+2 {
		t.Errorf("%d messages for %d streams that are there", sent, streams)
	}
}
