package nats

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tidegate/internal/storage/natstest"
)

const allNeeds = NeedLog | NeedSessions | NeedNodes | NeedTasks

func TestOnlyWhatIsNeededIsMade(t *testing.T) {
	t.Parallel()
	for needs, want := range map[Need][]string{
		0:                     nil,
		NeedLog:               {"TIDEGATE_EV"},
		NeedSessions:          {"TIDEGATE_ST"},
		NeedNodes | NeedTasks: {"KV_TIDEGATE_LEASE", "KV_TIDEGATE_NODES", "OBJ_TIDEGATE_RESULTS", "TIDEGATE_TASKQ", "TIDEGATE_TASKS"},
	} {
		e := openWith(t, Options{Dir: t.TempDir(), Needs: needs})
		var got []string
		for name := range e.js.StreamNames(natstest.Within(t)).Name() {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("needs %b: %v, want %v", needs, got, want)
		}
	}
}

func TestStreamsAreAsDesigned(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	lots := func(string) (space, error) { return space{free: 1 << 40, total: 1 << 41}, nil }
	e := openWith(t, Options{Dir: t.TempDir(), Needs: allNeeds, MaxEvents: 77, space: lots})
	type facts struct {
		Subjects                []string
		Retention               jetstream.RetentionPolicy
		Discard                 jetstream.DiscardPolicy
		PerSubject, Bytes, Size int64
		TTL                     bool
	}
	const size = mib + envelope
	want := map[string]facts{
		"TIDEGATE_EV":          {[]string{"tidegate.ev.>"}, jetstream.LimitsPolicy, jetstream.DiscardOld, 77, 1024 * mib, size, true},
		"TIDEGATE_ST":          {[]string{"tidegate.st.>"}, jetstream.LimitsPolicy, jetstream.DiscardNew, 1, 256 * mib, size, false},
		"TIDEGATE_TASKS":       {[]string{"tidegate.tk.s.>"}, jetstream.LimitsPolicy, jetstream.DiscardNew, 1, 256 * mib, size, true},
		"TIDEGATE_TASKQ":       {[]string{"tidegate.tk.q.>"}, jetstream.WorkQueuePolicy, jetstream.DiscardNew, 1, 64 * mib, size, false},
		"KV_TIDEGATE_NODES":    {[]string{"$KV.TIDEGATE_NODES.>"}, jetstream.LimitsPolicy, jetstream.DiscardNew, 1, 16 * mib, -1, true},
		"KV_TIDEGATE_LEASE":    {[]string{"$KV.TIDEGATE_LEASE.>"}, jetstream.LimitsPolicy, jetstream.DiscardNew, 1, 16 * mib, -1, true},
		"OBJ_TIDEGATE_RESULTS": {[]string{"$O.TIDEGATE_RESULTS.C.>", "$O.TIDEGATE_RESULTS.M.>"}, jetstream.LimitsPolicy, jetstream.DiscardNew, -1, 1024 * mib, -1, false},
	}
	got := map[string]facts{}
	for name := range want {
		s, err := e.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := s.CachedInfo().Config
		got[name] = facts{c.Subjects, c.Retention, c.Discard, c.MaxMsgsPerSubject, c.MaxBytes, int64(c.MaxMsgSize), c.AllowMsgTTL}
		if c.Storage != jetstream.FileStorage || c.Duplicates != 2*time.Minute || c.Replicas != 1 || !c.AllowDirect || c.MaxAge != 0 {
			t.Errorf("%s: storage %v, duplicates %v, replicas %d, direct %v, age %v", name, c.Storage, c.Duplicates, c.Replicas, c.AllowDirect, c.MaxAge)
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASmallDiskIsShared(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Needs: allNeeds, SessionsBytes: 3 << 20,
		space: func(string) (space, error) { return space{free: 400 << 20, total: 1 << 30}, nil }})
	sum := int64(0)
	for _, d := range e.definitions(allNeeds) {
		s, err := e.js.Stream(t.Context(), d.config.Name)
		if err != nil {
			t.Fatal(err)
		}
		sum += s.CachedInfo().Config.MaxBytes
		if name := d.config.Name; name == "TIDEGATE_ST" && s.CachedInfo().Config.MaxBytes != 3<<20 {
			t.Errorf("%s has %d bytes, want what is configured", name, s.CachedInfo().Config.MaxBytes)
		}
	}
	if sum > 300<<20 {
		t.Errorf("%d MiB are given away of 400", sum>>20)
	}
}

func TestBucketsAndStoresWork(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	ctx := natstest.Within(t)
	nodes, err := e.NodeBucket(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Create(ctx, "a", []byte("1"), jetstream.KeyTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Create(ctx, "a", []byte("2")); !errors.Is(err, jetstream.ErrKeyExists) {
		t.Errorf("a second lease: %v", err)
	}
	watcher, err := nodes.Watch(ctx, "a", jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	if update := <-watcher.Updates(); update == nil || update.Operation() == jetstream.KeyValuePut {
		t.Errorf("the lease's end shows as %v", update)
	}
	if err := watcher.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Create(ctx, "a", []byte("2")); err != nil {
		t.Errorf("a lease after that: %v", err)
	}
	tasks, err := e.TaskStreams(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tasks.Results.PutBytes(ctx, "r", []byte("result")); err != nil {
		t.Fatal(err)
	}
	if got, err := tasks.Results.GetBytes(ctx, "r"); err != nil || string(got) != "result" {
		t.Errorf("result %q, %v", got, err)
	}
	if _, err := tasks.Leases.Put(ctx, "sweeper", nil); err != nil {
		t.Error(err)
	}
	if sessions, err := e.SessionStream(ctx); err != nil || sessions.CachedInfo().Config.Name != "TIDEGATE_ST" {
		t.Errorf("sessions %v, %v", sessions, err)
	}
	if tasks.Records.CachedInfo().Config.Name != "TIDEGATE_TASKS" || tasks.Queue.CachedInfo().Config.Name != "TIDEGATE_TASKQ" {
		t.Error("records and queue are something else")
	}
}

func TestAStreamThatIsThereBecomesWhatIsConfiguredAndItIsSaid(t *testing.T) {
	t.Parallel()
	url := natstest.StartServer(t)
	first := openWith(t, Options{URLs: []string{url}, Needs: NeedLog, MaxEvents: 500, EventsBytes: 100 << 20})
	s, err := first.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	foreign := s.CachedInfo().Config
	foreign.Description = "watched by the night shift"
	if _, err := first.js.UpdateStream(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	var log natstest.Lines
	second := openWith(t, Options{URLs: []string{url}, MaxEvents: 100, Log: log.Logger(slog.LevelInfo)})
	if s, err = second.EventStream(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	if c.MaxMsgsPerSubject != 100 || c.MaxBytes != 100<<20 {
		t.Errorf("%d events of a topic, %d bytes; want 100, and the bytes as they were", c.MaxMsgsPerSubject, c.MaxBytes)
	}
	if c.Description != foreign.Description || first.Generation() != second.Generation() {
		t.Errorf("description %q, generations %q and %q", c.Description, first.Generation(), second.Generation())
	}
	if want := "stream=TIDEGATE_EV what=max_msgs_per_subject from=500 to=100"; !strings.Contains(log.String(), want) {
		t.Errorf("no %q in %s", want, log.String())
	}
	if strings.Contains(log.String(), "max_bytes") {
		t.Errorf("what stays is said to change: %s", log.String())
	}
}

// TestManyNodesStartAtOnce against servers that have nothing yet.
func TestManyNodesStartAtOnce(t *testing.T) {
	t.Parallel()
	together(t, []string{natstest.StartServer(t)}, 8)
}

func together(t *testing.T, urls []string, n int) []*Engine {
	t.Helper()
	engines := make([]*Engine, n)
	var group errgroup.Group
	ctx := natstest.Within(t)
	for i := range engines {
		group.Go(func() (err error) {
			engines[i], err = Open(ctx, Options{URLs: urls, Needs: allNeeds, Log: natstest.Log(t)})
			return err
		})
	}
	err := group.Wait()
	for _, e := range engines {
		if e != nil {
			t.Cleanup(e.Close)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		if e.Generation() != engines[0].Generation() || len(e.Generation()) != 8 {
			t.Errorf("generations %q and %q", e.Generation(), engines[0].Generation())
		}
	}
	return engines
}

func TestAServerThatIgnoresOptionsIsRefused(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	s, err := e.EventStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := s.CachedInfo().Config
	if err := verifyApplied(asked, s); err != nil {
		t.Errorf("a server that did as asked: %v", err)
	}
	s.CachedInfo().Config.AllowMsgTTL = false // as Debian's 2.9.10 answers
	err = verifyApplied(asked, s)
	if err == nil || !strings.Contains(err.Error(), "allow_msg_ttl is false, not true") {
		t.Errorf("error %v", err)
	}
}

func TestABoundThatIsMoreThanThereIsSaysSo(t *testing.T) {
	t.Parallel()
	url := natstest.StartServer(t, `jetstream: {store_dir: "`+t.TempDir()+`", max_file: 10MB}`)
	_, err := Open(natstest.Within(t), Options{URLs: []string{url}, Needs: NeedLog})
	if err == nil || !strings.Contains(err.Error(), "TIDEGATE_EV") || !strings.Contains(err.Error(), "lower the bound") {
		t.Errorf("error %v", err)
	}
	openWith(t, Options{URLs: []string{url}, Needs: NeedLog, EventsBytes: 5 << 20})
}

// TestABucketThatNobodyKnowsOfYetIsWaitedFor: another node has just made it, and
// the server that is asked does not know it yet.
func TestABucketThatNobodyKnowsOfYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		err := awaitBucket(t.Context(), func(context.Context) error {
			if asked++; asked < 5 {
				return jetstream.ErrBucketNotFound
			}
			return nil
		})
		if err != nil || asked != 5 {
			t.Errorf("after %d questions: %v", asked, err)
		}
		refused := errors.New("refused")
		if err := awaitBucket(t.Context(), func(context.Context) error { return refused }); err != refused {
			t.Errorf("another error: %v", err)
		}
		begun := time.Now()
		err = awaitBucket(t.Context(), func(context.Context) error { return jetstream.ErrStreamNotFound })
		if !errors.Is(err, jetstream.ErrStreamNotFound) || time.Since(begun) != bucketTimeout {
			t.Errorf("never there: %v after %v", err, time.Since(begun))
		}
	})
}
