package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/leftover"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

// server answers with the status that the path stands for and records the requests.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	kept []string // guarded by mu
}

func newServer(t *testing.T, name string) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.kept = append(s.kept, r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization")+" "+string(body))
		s.mu.Unlock()
		status := map[string]int{"/ok": 200, "/away": 503, "/later": 429, "/no": 409, "/odd": 200}[r.URL.Path]
		w.WriteHeader(status)
		if r.URL.Path != "/odd" {
			_, _ = io.WriteString(w, `{"name":"`+name+`"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestFailoverToTheNextServer(t *testing.T) {
	t.Parallel()
	a, b := newServer(t, "a"), newServer(t, "b")
	c := New([]string{a.URL, b.URL}, "secret", time.Minute, 4)
	defer c.Close()
	post := func(c *Client, path string) (string, error) {
		var answer struct{ Name string }
		err := c.Post(t.Context(), path, []byte("{}"), &answer)
		return answer.Name, err
	}
	if name, err := post(c, "/ok"); name != "a" || err != nil {
		t.Errorf("%q answers first, %v", name, err)
	}
	for _, path := range []string{"/away", "/later"} {
		if _, err := post(c.StartingAt(0), path); err == nil || errors.Is(err, ErrPermanent) {
			t.Errorf("%s: %v, want a temporary error", path, err)
		}
	}
	for _, path := range []string{"/no", "/odd"} {
		if _, err := post(c, path); !errors.Is(err, ErrPermanent) {
			t.Errorf("%s: %v, want a permanent error", path, err)
		}
	}
	if name, _ := post(c, "/ok"); name != "a" {
		t.Errorf("after permanent errors %q answers", name)
	}
	a.Close()
	_, err := post(c, "/ok")
	if name, _ := post(c, "/ok"); name != "b" || err == nil {
		t.Errorf("after the end of the first server: %v, then %q answers", err, name)
	}
	if text, err := c.StartingAt(1).PostBatch(t.Context(), "/ok", []byte("x")); err != nil || string(text) != `{"name":"b"}` {
		t.Errorf("a batch was answered %q, %v", text, err)
	}
	if want := "application/x-ndjson Bearer secret x"; !slices.Contains(b.kept, want) {
		t.Errorf("the server got %q, want %q", b.kept, want)
	}
}

// TestRetry: Retry repeats with growing pauses until an attempt succeeds, fails
// permanently, or the time is over.
func TestRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := 10
		began := time.Now()
		attempts, err := Retry(t.Context(), func() error {
			if left--; left > 0 {
				return errors.New("away")
			}
			return nil
		})
		if took := time.Since(began); attempts != 10 || err != nil || took < time.Second || took > 5*time.Second {
			t.Errorf("%d attempts in %s, %v", attempts, took, err)
		}
		if attempts, err := Retry(t.Context(), func() error { return ErrPermanent }); attempts != 1 || !errors.Is(err, ErrPermanent) {
			t.Errorf("a permanent error: %d attempts, %v", attempts, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Retry(ctx, func() error { return errors.New("away") }); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "away") {
			t.Errorf("the time is over: %v", err)
		}
	})
}
