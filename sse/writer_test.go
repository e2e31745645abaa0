package sse_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/sse"
)

// onBoth runs a test over HTTP/1.1 and over HTTP/2, on sockets.
func onBoth(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, client *http.Client, url string)) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != name {
					t.Errorf("the request came over %s", r.Proto)
				}
				handler(w, r)
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			t.Cleanup(server.Close)
			test(t, server.Client(), server.URL)
		})
	}
}

func TestAWriterSendsWhatADecoderReads(t *testing.T) {
	t.Parallel()
	sent := []sse.Event{{ID: "1", Name: "a", Data: "x\ny"}, {Name: "b", Data: ""}, {ID: "3", Name: "message", Data: "z"}}
	onBoth(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-More", "kept")
		stream, err := sse.Accept(w, r, &sse.WriterOptions{Retry: 1500 * time.Millisecond})
		if err != nil {
			t.Error(err)
			return
		}
		block, _ := sse.Append(nil, sent[1])
		first := stream.Send(sent[0])
		n, err := stream.Write(block)
		if err := errors.Join(first, err, stream.Send(sent[2]), stream.SendID("4"), stream.Comment("bye")); err != nil || n != len(block) {
			t.Error(err)
		}
	}, func(t *testing.T, client *http.Client, url string) {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "X-More": "kept",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		var comments []string
		decoder := sse.NewDecoder(res.Body, sse.DecoderOptions{Strict: true, OnComment: func(text string) { comments = append(comments, text) }})
		var names []string
		for ev, err := range decoder.Events() {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, ev.Name+" "+ev.Data)
		}
		retry, _ := decoder.Retry()
		if got := strings.Join(names, "|"); got != "a x\ny|b |message z" || decoder.LastEventID() != "4" || retry != 1500*time.Millisecond || len(comments) != 1 {
			t.Errorf("%q, last id %q, retry %v, comments %q", got, decoder.LastEventID(), retry, comments)
		}
	})
}

// TestHeadersAndEventsGoOutAtOnce: each is there before the next is sent.
func TestHeadersAndEventsGoOutAtOnce(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	onBoth(t, func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for {
			select {
			case data := <-next:
				if err := stream.Send(sse.Event{Data: data}); err != nil {
					t.Error(err)
				}
			case <-r.Context().Done():
				return
			}
		}
	}, func(t *testing.T, client *http.Client, url string) {
		res, err := client.Get(url) // returns with the headers
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewReader(res.Body)
		for _, data := range []string{"a", "b"} {
			next <- data
			line, err := lines.ReadString('\n')
			blank, _ := lines.ReadString('\n')
			if err != nil || line != "data: "+data+"\n" || blank != "\n" {
				t.Errorf("got %q, %q, %v", line, blank, err)
			}
		}
	})
}

// TestAStreamOutlivesTheTimeoutsOfTheServer, and a deadline that stayed behind: on
// HTTP/2 that would reset it while it is idle.
func TestAStreamOutlivesTheTimeoutsOfTheServer(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				protocols := only(http2)
				client := servePipeWith(t, &http.Server{
					ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, Protocols: protocols,
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						stream, err := sse.Accept(w, r, &sse.WriterOptions{Heartbeat: 20 * time.Second, WriteTimeout: 2 * time.Second})
						if err != nil {
							t.Error(err)
							return
						}
						_ = stream.Serve(r.Context(), make(chan sse.Event))
					}),
				}, protocols)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://pipe.test/", nil)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				began := time.Now()
				lines := bufio.NewReader(res.Body)
				for i := range 5 {
					line, err := lines.ReadString('\n')
					if _, blank := lines.ReadString('\n'); err != nil || blank != nil || line != ": heartbeat\n" {
						t.Fatalf("heartbeat %d: %q, %v", i+1, line, err)
					}
				}
				if passed := time.Since(began); passed != 100*time.Second {
					t.Errorf("5 heartbeats took %v, want 100s", passed)
				}
			})
		})
	}
}

// TestAClientThatTakesNothingIsGivenUp at its WriteTimeout, and not before.
func TestAClientThatTakesNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				var first error
				protocols := only(http2)
				client := servePipeWith(t, &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					stream, err := sse.Accept(w, r, &sse.WriterOptions{WriteTimeout: 7 * time.Second})
					if err != nil {
						t.Error(err)
						return
					}
					for first == nil {
						first = stream.Send(sse.Event{Data: strings.Repeat("x", 1<<20)})
					}
					ended <- stream.Comment("more")
				})}, protocols)
				began := time.Now()
				res, err := client.Get("http://pipe.test/")
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				again := <-ended // the test does not read the body
				if again != first || time.Since(began) != 7*time.Second || !http2 && !errors.Is(first, os.ErrDeadlineExceeded) {
					t.Errorf("Send = %v, then %v, after %v", first, again, time.Since(began))
				}
			})
		})
	}
}

// only is HTTP/2 without TLS, or HTTP/1.1.
func only(http2 bool) *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &protocols
}

func TestServeEnds(t *testing.T) {
	t.Parallel()
	why := errors.New("the program stops")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(why)
	closed := make(chan sse.Event)
	close(closed)
	full := make(chan sse.Event, 4)
	full <- sse.Event{Data: "a"}
	full <- sse.Event{Data: "b"}
	full <- sse.Event{Name: "c\n", Data: "c"}
	full <- sse.Event{Data: "d"}
	last := make(chan sse.Event, 1)
	last <- sse.Event{Data: "end"}
	close(last)
	for name, tt := range map[string]struct {
		ctx    context.Context
		events <-chan sse.Event
		want   error
		body   string
	}{
		"ctx is done":          {stopped, nil, why, ""},
		"no more events":       {t.Context(), closed, nil, ""},
		"the last was there":   {t.Context(), last, nil, "data: end\n\n"},
		"an event that has LF": {t.Context(), full, sse.ErrField, "data: a\n\ndata: b\n\n"},
	} {
		recorder := httptest.NewRecorder()
		stream, err := sse.Accept(recorder, httptest.NewRequest("GET", "/", nil), &sse.WriterOptions{WriteTimeout: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Serve(tt.ctx, tt.events); !errors.Is(err, tt.want) || recorder.Body.String() != tt.body {
			t.Errorf("%s: Serve = %v, want %v; sent %q, want %q", name, err, tt.want, recorder.Body, tt.body)
		}
	}
}

// writes counts the writes of a response.
type writes struct {
	*httptest.ResponseRecorder
	n, flushes int
}

func (w *writes) Write(p []byte) (int, error) { w.n++; return w.ResponseRecorder.Write(p) }
func (w *writes) Flush()                      { w.flushes++ }

func TestEventsThatAreReadyGoOutTogether(t *testing.T) {
	t.Parallel()
	events := make(chan sse.Event, 100)
	for range 100 {
		events <- sse.Event{Data: strings.Repeat("x", 1000)}
	}
	close(events)
	w := &writes{ResponseRecorder: httptest.NewRecorder()}
	stream, err := sse.Accept(w, httptest.NewRequest("POST", "/", nil), &sse.WriterOptions{WriteTimeout: -1, Heartbeat: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Serve(t.Context(), events); err != nil || w.n != 2 || w.flushes != 3 {
		t.Errorf("Serve = %v with %d writes and %d flushes, want 2 of at most 64 KiB, and the headers' flush", err, w.n, w.flushes)
	}
}

// TestAClientThatLeavesEndsServe by the context of its request.
func TestAClientThatLeavesEndsServe(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	onBoth(t, func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ended <- stream.Serve(r.Context(), make(chan sse.Event))
	}, func(t *testing.T, client *http.Client, url string) {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v", err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	})
}

func TestSendDoesNotAllocate(t *testing.T) {
	stream, err := sse.Accept(discard{http.Header{}}, httptest.NewRequest("GET", "/", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	ev := sse.Event{ID: "41", Name: "progress", Data: strings.Repeat("x", 200)}
	if n := testing.AllocsPerRun(100, func() { _ = stream.Send(ev) }); n > 0 {
		t.Errorf("Send allocates %v times", n)
	}
}
