package backend

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tidegate/client"
	"tidegate/task"
)

func TestNewReportsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Client:              client.Options{URL: "http://host/internal"},
		VersionURL:          "version.json",
		VersionPollInterval: -1,
		Tasks:               task.Options{Workers: -1, OnDelete: func(string) {}},
	})
	if err == nil {
		t.Fatal("New = nil")
	}
	for _, want := range []string{"callback secret", "client: URL", "version URL", "intervals", "Workers", "OnDelete"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %s: %v", want, err)
		}
	}
}

func TestNewRefusesTwoKindsOfTaskWithOneName(t *testing.T) {
	t.Parallel()
	opts := Options{Mode: Testing, Client: client.Options{URL: "http://gateway.test"}, Types: []task.Type{waiting(), waiting()}}
	if _, err := New(opts); err == nil || !strings.Contains(err.Error(), "waiting") {
		t.Errorf("New = %v", err)
	}
}

func TestNewRefusesARegistryThatHasItsMetricsAlready(t *testing.T) {
	t.Parallel()
	opts := Options{Mode: Testing, Client: client.Options{URL: "http://gateway.test"}, Registerer: prometheus.NewRegistry()}
	if _, err := New(opts); err != nil {
		t.Fatal(err)
	}
	if _, err := New(opts); err == nil {
		t.Error("New = nil, want an error")
	}
}

func TestReadinessFollowsLifeAndGateway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		b := setup(t, func(o *Options) {
			gateway := o.Client.Transport
			o.Client.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				if away.Load() {
					return nil, context.DeadlineExceeded
				}
				return gateway.RoundTrip(r)
			})
		})
		check := func(when string, want ...string) {
			t.Helper()
			ok, reasons := b.Ready()
			if diff := cmp.Diff(want, reasons); diff != "" || ok != (len(want) == 0) {
				t.Errorf("%s: Ready = %v, %v, want %v", when, ok, reasons, want)
			}
		}
		check("before Run", "backend is starting", "gateway is not reachable")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx) })
		synctest.Wait()
		check("while it runs")
		away.Store(true)
		b.connect("t1", versionURL)
		check("when a call failed", "gateway is not reachable")
		away.Store(false)
		time.Sleep(probePause)
		synctest.Wait()
		check("when the gateway is back")
		b.Drain(ctx)
		check("while it drains", "backend is stopping")
		cancel()
		wg.Wait()
		check("after Run", "backend is stopping")
	})
}

func TestRunEndsWhateverTheGatewayDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.Run(ctx) })
		b.start(t, "waiting")
		time.Sleep(time.Minute)
		cancel()
		began := time.Now()
		wg.Wait()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("Run took %v to end", took)
		}
	})
}

func TestRunMayEndAtAnyMoment(t *testing.T) {
	t.Parallel()
	for range 50 {
		b := setup(t, func(o *Options) {
			o.VersionURL = "http://site.test/"
			o.SweepInterval = time.Millisecond
		})
		b.poller.http.Transport = &versionSite{media: "text/plain", body: "1"}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
		wg.Go(func() { _, _ = b.Tasks().Start(t.Context(), "demo_task", []byte(`{"delay":0}`)) })
		wg.Go(func() { b.connect("t1", "/api/sse/stream?request_id=a&task_id=b") })
		wg.Go(cancel)
		wg.Wait()
	}
}

func TestDrainWaitsForTasksAndThenCancelsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		short, long := b.start(t, "demo_task"), b.start(t, "waiting")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		b.Drain(ctx)
		for id, want := range map[string]string{short: "task_completed connection_close", long: "task_cancelled connection_close"} {
			if got := b.gateway.kinds("task:" + id); !strings.HasSuffix(got, want) {
				t.Errorf("log = %s, want %s at its end", got, want)
			}
		}
	})
}
