package sse_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/sse"
)

// roundTrip is a network that answers by itself.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// waits connects through answers, one after the other and then 204, and returns how
// long the client waited before each reconnection. It checks that the client said so.
func waits(t *testing.T, opts sse.ClientOptions, answers ...func() (*http.Response, error)) (waited []time.Duration, err error) {
	t.Helper()
	var ended time.Time
	opts.URL = "http://server/"
	opts.HTTPClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		if !ended.IsZero() {
			waited = append(waited, time.Since(ended))
		}
		ended = time.Now()
		if len(answers) == 0 {
			return answer(204, "")()
		}
		next := answers[0]
		answers = answers[1:]
		return next()
	})}
	var reported []time.Duration
	opts.OnReconnect = func(_ error, delay time.Duration) { reported = append(reported, delay) }
	_, err = collect(t.Context(), sse.NewClient(opts))
	for i, d := range waited {
		if d != reported[i] {
			t.Errorf("OnReconnect reported %v, but the client waited %v", reported[i], d)
		}
	}
	return waited, err
}

func answer(status int, body string, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		resp := &http.Response{
			StatusCode: status,
			Header:     http.Header{"Content-Type": {"text/event-stream"}},
			Body:       io.NopCloser(strings.NewReader(body)),
		}
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

func fail() (*http.Response, error) { return nil, errors.New("no route") }

// about reports whether each wait is its share and up to half of it more.
func about(waited []time.Duration, want ...time.Duration) bool {
	if len(waited) != len(want) {
		return false
	}
	for i, d := range waited {
		if d < want[i] || d > want[i]+want[i]/2 {
			return false
		}
	}
	return true
}

func TestTheWaitDoublesUntilAStreamOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waited, err := waits(t, sse.ClientOptions{MaxDelay: 7 * time.Second}, fail, fail, fail, fail, answer(200, ""), fail, fail)
		s := time.Second
		if !about(waited, 3*s, 6*s, 7*s, 7*s, 3*s, 6*s, 7*s) || err != nil {
			t.Errorf("waited %v, %v, want 3s, 6s, 7s, 7s, 3s, 6s, 7s and up to half more", waited, err)
		}
	})
}

func TestTheWaitDoesNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := sse.ClientOptions{MaxDelay: math.MaxInt64}
		waited, err := waits(t, opts, slices.Repeat([]func() (*http.Response, error){fail}, 50)...)
		const year = 365 * 24 * time.Hour
		if last := waited[len(waited)-1]; len(waited) != 50 || err != nil || !about([]time.Duration{last}, year) {
			t.Errorf("waited %v, %v, want 50 waits and a year in the end", waited, err)
		}
	})
}

func TestTheWaitIsWhatTheServerAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waited, err := waits(t, sse.ClientOptions{MaxDelay: 20 * time.Second},
			answer(200, "retry: 60000\n"), // longer than MaxDelay is kept
			fail,
			answer(200, "retry: 5000\ndata: a\n\n"),
			fail,
			answer(200, "data: b\n\n"), // stays for the connections to come
			answer(200, "retry: 0\n"),  // is not a busy loop
			answer(200, "retry: 99999999999999999999\n"),
		)
		s := time.Second
		if !about(waited, 60*s, 60*s, 5*s, 10*s, 5*s, s/10, time.Hour) || err != nil {
			t.Errorf("waited %v, %v, want 1m, 1m, 5s, 10s, 5s, 100ms, an hour and up to half more", waited, err)
		}
	})
}

// F20: clients that were cut together must not return together.
func TestF20TheWaitIsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := make(map[time.Duration]bool)
		for range 50 {
			waited, _ := waits(t, sse.ClientOptions{}, answer(200, "retry: 1000\n"))
			if !about(waited, time.Second) {
				t.Fatalf("waited %v, want between 1s and 1.5s", waited)
			}
			seen[waited[0].Round(10*time.Millisecond)] = true
		}
		if len(seen) < 10 {
			t.Errorf("50 clients returned at %d moments only", len(seen))
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// The clock of a bubble begins at a whole second, so the date is the first row.
		inAMinute := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
		for _, tt := range []struct {
			header string
			want   time.Duration
		}{
			{inAMinute, time.Minute},
			{"120", 2 * time.Minute},
			{"1", 3 * time.Second}, // the client's own wait is longer
			{"soon", 3 * time.Second},
			{"-5", 3 * time.Second},
			{"99999999999999999999", time.Hour},
			{"Sun, 06 Nov 1994 08:49:37 GMT", 3 * time.Second},
		} {
			opts := sse.ClientOptions{RetryStatus: func(status int) bool { return status == 429 }}
			waited, err := waits(t, opts, answer(429, "", "Retry-After", tt.header))
			if !about(waited, tt.want) || err != nil {
				t.Errorf("Retry-After %q: waited %v, %v, want %v and up to half more", tt.header, waited, err, tt.want)
			}
		}
	})
}

func TestRetryStatusDecides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := sse.ClientOptions{RetryStatus: func(status int) bool { return status != 403 }}
		waited, err := waits(t, opts, answer(503, ""), answer(403, ""))
		status, ok := errors.AsType[*sse.StatusError](err)
		if len(waited) != 1 || !ok || status.StatusCode != 403 {
			t.Errorf("waited %v, %v, want one reconnection and then a StatusError of 403", waited, err)
		}
		// A page in place of a stream does not get better, whatever RetryStatus says of 200.
		waited, err = waits(t, opts, answer(200, "", "Content-Type", "text/html"))
		if _, ok := errors.AsType[*sse.StatusError](err); !ok || len(waited) != 0 {
			t.Errorf("another content type: waited %v, %v, want a StatusError at once", waited, err)
		}
	})
}

// watchedBody is a body that lasts until its request is cancelled.
type watchedBody struct {
	ctx    context.Context
	closed *int
}

func (b watchedBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, context.Canceled
}

func (b watchedBody) Close() error {
	*b.closed++
	return nil
}

func TestEveryBodyIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		statuses := []int{200, 503, 204}
		asked, closed := 0, 0
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := answer(statuses[asked], "")()
			resp.Body = watchedBody{r.Context(), &closed}
			asked++
			return resp, err
		})
		var reasons []error
		_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{
			URL: "http://server/", HTTPClient: &http.Client{Transport: transport}, IdleTimeout: time.Minute,
			RetryStatus: func(int) bool { return true },
			OnReconnect: func(err error, _ time.Duration) { reasons = append(reasons, err) },
		}))
		if asked != 3 || closed != 3 || err != nil {
			t.Errorf("%d bodies of %d were closed, %v, want 3 of 3", closed, asked, err)
		}
		if len(reasons) != 2 || reasons[0] != sse.ErrIdle {
			t.Errorf("reconnects after %v, want ErrIdle and then the status", reasons)
		}
	})
}

// beats sends n comments with a pause after each, and then nothing more.
func beats(n int, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		stream("data: a\n\n")(w, r)
		rc := http.NewResponseController(w)
		for range n {
			time.Sleep(pause)
			_, _ = w.Write(sse.AppendComment(nil, "heartbeat"))
			_ = rc.Flush()
		}
		<-r.Context().Done()
	}
}

func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		handler := &connections{answers: []http.HandlerFunc{beats(5, 15*time.Second), silent}, requests: make(chan *http.Request, 10)}
		start := time.Now()
		var at []time.Duration
		client := sse.NewClient(sse.ClientOptions{
			URL: "http://server/", HTTPClient: servePipe(t, handler), IdleTimeout: 40 * time.Second,
			OnReconnect: func(err error, _ time.Duration) {
				if !errors.Is(err, sse.ErrIdle) {
					t.Errorf("reconnects after %v, want ErrIdle", err)
				}
				at = append(at, time.Since(start))
				start = time.Now().Add(4500 * time.Millisecond) // about when it is back
			},
		})
		got, err := collect(t.Context(), client)
		if got != "a" || err != nil || len(at) != 2 {
			t.Fatalf("events %q, %v, given up at %v, want a and two connections given up", got, err, at)
		}
		if want := (5*15 + 40) * time.Second; at[0] != want {
			t.Errorf("the stream was given up after %v, want %v: 40s after the last heartbeat", at[0], want)
		}
		if at[1] < 38*time.Second || at[1] > 46*time.Second {
			t.Errorf("the wait for headers was given up after about %v, want 40s", at[1])
		}
	})
}

func TestTimeOfTheConsumerIsNotSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handler := &connections{answers: []http.HandlerFunc{stream("data: a\n\ndata: b\n\n")}, requests: make(chan *http.Request, 10)}
		client := sse.NewClient(sse.ClientOptions{
			URL: "http://server/", HTTPClient: servePipe(t, handler), IdleTimeout: time.Second,
			OnReconnect: func(err error, _ time.Duration) {
				if err != io.EOF {
					t.Errorf("reconnects after %v, want io.EOF", err)
				}
			},
		})
		for _, err := range client.Events(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestARefusalWithABodyThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := servePipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refuse(500)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		start := time.Now()
		_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: "http://server/", HTTPClient: client}))
		if status, ok := errors.AsType[*sse.StatusError](err); !ok || status.Body != "because\n" {
			t.Errorf("error %v, want a StatusError with what has arrived", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want 5s", took)
		}
	})
}

func TestEventsArriveWhenTheyAreSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := servePipe(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				time.Sleep(time.Minute)
				stream("data: "+time.Now().Format(time.RFC3339Nano)+"\r\r")(w, r)
			}
			<-r.Context().Done()
		}))
		n := 0
		for ev, err := range sse.NewClient(sse.ClientOptions{URL: "http://server/", HTTPClient: client}).Events(t.Context()) {
			if now := time.Now().Format(time.RFC3339Nano); err != nil || ev.Data != now {
				t.Errorf("event %+v, %v at %s, want it at once", ev, err, now)
			}
			if n++; n == 3 {
				break
			}
		}
	})
}
