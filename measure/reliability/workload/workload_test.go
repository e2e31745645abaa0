package workload

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/eventsource"
	"tidegate/measure/reliability/record"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	err := Options{
		Public: []string{"http://127.0.0.1:1/x", "https://127.0.0.1:1"}, Publishers: -1, Topics: MaxTopics + 1, Clients: MaxClients + 1,
		Size: 1 << 30, Rate: -1, Retry: -1,
	}.Validate()
	for _, flag := range []string{"--out", "--internal", `--public "http://127.0.0.1:1/x"`, `--public "https`, "--publishers", "--topics", "--clients", "--size", "--rate", "--retry"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not name %s", err, flag)
		}
	}
	good := Options{Dir: "x", Public: []string{"http://127.0.0.1:1"}, Internal: []string{"http://127.0.0.1:2"}}
	if err := errors.Join(good.Validate(), good.withDefaults().Validate()); err != nil {
		t.Error(err)
	}
}

// TestAnEventIsRepeatedWithItsKey: the second attempt equals the first, and only the
// answer counts.
func TestAnEventIsRepeatedWithItsKey(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		_ = json.NewDecoder(r.Body).Decode(&m)
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, m); len(got) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"status":"ok","id":"id-1","receivers":0}`)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "p")
	out, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	client := api.New([]string{server.URL}, "", time.Minute, 1)
	defer client.Close()
	l := &Load{opts: Options{Topics: 1, Size: 60}, name: "run", naming: naming{run: "run"}}
	p := &publisher{number: 2, load: l, api: client, out: out, byTop: map[int]int{}, random: rand.New(rand.NewPCG(1, 1))}
	if err := errors.Join(p.publish(t.Context(), 0, true), out.Close()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != got[1] || got[0].Key == "" || got[0].Topic != "load:run-0" || got[0].Event.Name != endName || len(got[0].Event.Data) != 60 {
		t.Errorf("the server got %+v", got)
	}
	err = record.Read(path, record.ParseEvent, func(e record.Event) error {
		want := record.Event{Global: 2<<32 | 1, Publisher: 2, Number: 1, Begin: 1, Done: 2, ID: "id-1", Attempts: 2, End: true}
		if e != want {
			t.Errorf("recorded %+v, want %+v", e, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestClientRecord: a client records a position with its first id, another one after a
// reset, and the end markers of all its topics.
func TestClientRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c")
	out, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	l := &Load{opts: Options{Topics: 1}, positioned: newCountdown(1), complete: newCountdown(1)}
	c := newClient(0, l, out)
	c.onPosition, c.onComplete = l.positioned.done, l.complete.done
	text := func(n int) string { return record.Body{Global: uint64(n), Number: n}.Text(0) }
	for _, b := range []eventsource.Block{
		{ID: "1", HasID: true},
		{ID: "2", HasID: true, Name: eventName, Data: text(1), HasData: true},
		{Name: "reset", HasData: true},
		{ID: "3", HasID: true, Name: "other", Data: text(2), HasData: true},
		{ID: "4", HasID: true, Name: endName, Data: text(3), HasData: true},
	} {
		c.block(b)
	}
	l.positioned.wait(t.Context())
	l.complete.wait(t.Context())
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	err = record.Read(path, record.ParseObservation, func(s record.Observation) error {
		kinds = append(kinds, s.Kind)
		return nil
	})
	want := []string{"topics", "position", "event", "reset", "position", "foreign", "event", "complete"}
	if err != nil || !slices.Equal(kinds, want) {
		t.Errorf("recorded %v, %v, want %v", kinds, err, want)
	}
	if c.lastID != "4" {
		t.Errorf("it would resume after %q", c.lastID)
	}
}

// TestAPermanentErrorEndsTheRun: publishers do not retry for ever against a server that
// never accepts the events, and nothing stays open.
func TestAPermanentErrorEndsTheRun(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "closed", http.StatusConflict)
	}))
	defer server.Close()
	o := Options{
		Dir: t.TempDir(), Public: []string{server.URL}, Internal: []string{server.URL}, CallbackListen: "127.0.0.1:0",
		Publishers: 2, Topics: 2, Clients: 3, Rate: 100, Duration: time.Minute, Retry: time.Millisecond,
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Run(t.Context(), nil, func(context.Context) error { return errors.New("called") })
	if !errors.Is(err, api.ErrPermanent) || strings.Contains(err.Error(), "called") {
		t.Errorf("the run ended with %v", err)
	}
	if _, err := record.ReadRun(o.Dir); err == nil {
		t.Error("an aborted run looks complete")
	}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "empty directory") {
		t.Errorf("a second run in the same directory: %v", err)
	}
}

func TestPausesFindTheLongest(t *testing.T) {
	t.Parallel()
	p := &pauses{began: time.Now().Add(-time.Hour)}
	p.last.Store(int64(59 * time.Minute))
	p.answered()
	p.answered()
	if got := time.Duration(p.longest.Load()); got < time.Minute || got > 2*time.Minute {
		t.Errorf("longest pause %s, want the minute", got)
	}
	p.last.Store(0)
	p.restart()
	p.answered()
	if got := time.Duration(p.longest.Load()); got > 2*time.Minute {
		t.Errorf("longest pause %s, want none from before the restart", got)
	}
	p.restart()
	p.answered() // not a long one
	if n, middle := p.median(); n < 1 || middle < time.Second {
		t.Errorf("%d long pauses, median %s", n, middle)
	}
}
