package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/sse"
)

// connections is a handler that answers the first request with the first function and
// so on, and any further one with 204. It keeps what was asked.
type connections struct {
	answers  []http.HandlerFunc
	requests chan *http.Request // with room for all that a test expects
}

func (c *connections) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := len(c.requests)
	c.requests <- r
	if n < len(c.answers) {
		c.answers[n](w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// lastEventIDs returns what the requests so far asked to resume after.
func (c *connections) lastEventIDs() (ids []string) {
	for range len(c.requests) {
		ids = append(ids, strings.Join((<-c.requests).Header.Values("Last-Event-ID"), "+"))
	}
	return ids
}

func serve(t *testing.T, answers ...http.HandlerFunc) (*connections, string) {
	t.Helper()
	c := &connections{answers: answers, requests: make(chan *http.Request, 100)}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	return c, srv.URL
}

// stream answers with an event stream that is body and then ends.
func stream(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
	}
}

// open is a stream that does not end before the client goes.
func open(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		stream(body)(w, r)
		<-r.Context().Done()
	}
}

func refuse(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "because\n")
	}
}

// collect ranges over the events to the end and returns their ids and data.
func collect(ctx context.Context, c *sse.Client) (got string, last error) {
	var events []string
	for ev, err := range c.Events(ctx) {
		if err != nil {
			last = err
			continue
		}
		events = append(events, ev.ID+ev.Data)
	}
	return strings.Join(events, " "), last
}

func TestClientResumesAfterTheLastEvent(t *testing.T) {
	t.Parallel()
	server, url := serve(t,
		stream("id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: unfinished\n"),
		stream("data: c\n\n"), // has the id of b
		stream("id: 4\n\n"),   // an id without an event counts as well
		stream("id\n\n"),      // and may be taken back
		stream("id: …\ndata: d\n\n"),
	)
	client := sse.NewClient(sse.ClientOptions{URL: url, LastEventID: "0", Retry: time.Millisecond})
	got, err := collect(t.Context(), client)
	if want := "1a 2b 2c …d"; got != want || err != nil {
		t.Errorf("events %q, %v, want %q", got, err, want)
	}
	if got, want := strings.Join(server.lastEventIDs(), ","), "0,2,2,4,,…"; got != want {
		t.Errorf("Last-Event-ID of the requests: %q, want %q", got, want)
	}
	if got := client.LastEventID(); got != "…" {
		t.Errorf("LastEventID() = %q, want …", got)
	}
}

func TestClientAsksAsEventSourceDoes(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	client := sse.NewClient(sse.ClientOptions{URL: url + "/x?y=z", Header: http.Header{
		"authorization": {"Bearer t"}, "X-A": {"1", "2"}, "Last-Event-Id": {"not from here"},
	}})
	if got, err := collect(t.Context(), client); got != "" || err != nil {
		t.Errorf("events %q, %v, want none", got, err)
	}
	r := <-server.requests
	if r.Method != http.MethodGet || r.RequestURI != "/x?y=z" {
		t.Errorf("request %s %s, want GET /x?y=z", r.Method, r.RequestURI)
	}
	for name, want := range map[string]string{
		"Accept": "text/event-stream", "Cache-Control": "no-cache", "Last-Event-Id": "",
		"Authorization": "Bearer t", "X-A": "1,2",
	} {
		if got := strings.Join(r.Header.Values(name), ","); got != want {
			t.Errorf("header %s: %q, want %q", name, got, want)
		}
	}
}

func TestHeaderReplacesTheDefaults(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	header := http.Header{"Accept": {"text/event-stream, */*"}}
	client := sse.NewClient(sse.ClientOptions{URL: url, Header: header})
	header.Set("Accept", "changed later")
	if _, err := collect(t.Context(), client); err != nil {
		t.Error(err)
	}
	if got := (<-server.requests).Header.Values("Accept"); len(got) != 1 || got[0] != "text/event-stream, */*" {
		t.Errorf("Accept: %q, want the one of Header when the client was made", got)
	}
}

func TestNewRequestBuildsEachRequest(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 2)
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Method + " " + string(body)
		stream("")(w, r)
	}
	_, url := serve(t, echo, echo)
	n := 0
	client := sse.NewClient(sse.ClientOptions{
		Retry: time.Millisecond,
		NewRequest: func(context.Context) (*http.Request, error) {
			n++
			return http.NewRequest(http.MethodPost, url, strings.NewReader(fmt.Sprint("body ", n)))
		},
	})
	if _, err := collect(t.Context(), client); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"POST body 1", "POST body 2"} {
		if got := <-bodies; got != want {
			t.Errorf("request %q, want %q", got, want)
		}
	}
}

func TestRequestsThatCannotBeSentEndTheSequence(t *testing.T) {
	t.Parallel()
	broken := errors.New("no credentials")
	build := func(req *http.Request, err error) func(context.Context) (*http.Request, error) {
		return func(context.Context) (*http.Request, error) { return req, err }
	}
	for name, tt := range map[string]struct {
		opts sse.ClientOptions
		want string
	}{
		"no URL":               {sse.ClientOptions{}, `scheme ""`},
		"no scheme":            {sse.ClientOptions{URL: "localhost:8080/x"}, `scheme "localhost"`},
		"not a URL":            {sse.ClientOptions{URL: "http://[::1"}, "missing ']'"},
		"another scheme":       {sse.ClientOptions{URL: "ftp://localhost/"}, `scheme "ftp"`},
		"error of the builder": {sse.ClientOptions{NewRequest: build(nil, broken)}, broken.Error()},
		"builder without URL":  {sse.ClientOptions{NewRequest: build(&http.Request{URL: &url.URL{}}, nil)}, `scheme ""`},
	} {
		tt.opts.OnReconnect = func(err error, _ time.Duration) { t.Errorf("%s: reconnects after %v", name, err) }
		if _, err := collect(t.Context(), sse.NewClient(tt.opts)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %s", name, err, tt.want)
		}
	}
}

func TestAnAnswerThatIsNoStreamEndsTheSequence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   sse.StatusError
		text   string
	}{
		{"404", refuse(404, "Content-Type", "text/plain"),
			sse.StatusError{StatusCode: 404, ContentType: "text/plain", Body: "because\n"},
			`sse: the server answered 404 Not Found: "because\n"`},
		{"503", refuse(503, "Content-Type", "text/event-stream", "Retry-After", "7"),
			sse.StatusError{StatusCode: 503, ContentType: "text/event-stream", RetryAfter: 7 * time.Second, Body: "because\n"},
			`sse: the server answered 503 Service Unavailable: "because\n"`},
		{"201", refuse(201, "Content-Type", "text/event-stream"),
			sse.StatusError{StatusCode: 201, ContentType: "text/event-stream", Body: "because\n"},
			`sse: the server answered 201 Created: "because\n"`},
		{"another type", refuse(200, "Content-Type", "text/html; charset=utf-8"),
			sse.StatusError{StatusCode: 200, ContentType: "text/html; charset=utf-8", Body: "because\n"},
			`sse: the server answered 200 OK with content type "text/html; charset=utf-8" instead of text/event-stream: "because\n"`},
		{"a type that only begins the same", refuse(200, "Content-Type", "text/event-streams"),
			sse.StatusError{StatusCode: 200, ContentType: "text/event-streams", Body: "because\n"},
			`sse: the server answered 200 OK with content type "text/event-streams" instead of text/event-stream: "because\n"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, url := serve(t, tt.answer)
			_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: url}))
			status, ok := errors.AsType[*sse.StatusError](err)
			if !ok || *status != tt.want || err.Error() != tt.text {
				t.Errorf("error %#v, %v, want %+v, %s", err, err, tt.want, tt.text)
			}
		})
	}
}

func TestContentTypesOfAStream(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/event-stream", "text/event-stream;charset=UTF-8", "Text/Event-Stream ; x=", "text/event-stream;"} {
		_, url := serve(t, refuse(200, "Content-Type", contentType))
		client := sse.NewClient(sse.ClientOptions{URL: url, Retry: time.Millisecond})
		if _, err := collect(t.Context(), client); err != nil {
			t.Errorf("content type %q: %v, want it accepted", contentType, err)
		}
	}
}

func TestTheExcerptOfARefusalIsBounded(t *testing.T) {
	t.Parallel()
	_, url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	})
	_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: url}))
	if status, ok := errors.AsType[*sse.StatusError](err); !ok || status.Body != strings.Repeat("x", 1024) {
		t.Errorf("error %v, want a StatusError with 1024 bytes of the body", err)
	}
}

func TestABreakClosesTheConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 2)
	until := func(w http.ResponseWriter, r *http.Request) {
		open("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")(w, r)
		gone <- struct{}{}
	}
	server, url := serve(t, until, until)
	client := sse.NewClient(sse.ClientOptions{URL: url})
	for range 2 { // ranging again is a new connection that resumes
		for ev, err := range client.Events(t.Context()) {
			if err != nil || ev.Data != "a" {
				t.Fatalf("event %+v, %v, want data a", ev, err)
			}
			break
		}
		<-gone
	}
	if got := strings.Join(server.lastEventIDs(), ","); got != ",1" {
		t.Errorf("Last-Event-ID of the requests: %q, want none and then 1", got)
	}
}

func TestTheCauseOfTheContextEndsTheSequence(t *testing.T) {
	t.Parallel()
	cause := errors.New("enough")
	for name, answer := range map[string]http.HandlerFunc{
		"while a stream is open":    open("data: a\n\n"),
		"while headers are awaited": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"while it waits":            stream("retry: 3600000\n\n"),
	} {
		server, url := serve(t, answer)
		ctx, cancel := context.WithCancelCause(t.Context())
		client := sse.NewClient(sse.ClientOptions{
			// Not bound to the context: the client has to see to that.
			NewRequest:  func(context.Context) (*http.Request, error) { return http.NewRequest("GET", url, nil) },
			OnOpen:      func(*http.Response) { cancel(cause) },
			OnReconnect: func(error, time.Duration) { cancel(cause) },
		})
		var wg sync.WaitGroup
		if strings.Contains(name, "headers") {
			wg.Go(func() {
				<-server.requests
				cancel(cause)
			})
		}
		if _, err := collect(ctx, client); !errors.Is(err, cause) {
			t.Errorf("%s: error %v, want %v", name, err, cause)
		}
		wg.Wait()
	}
}

func TestNothingIsSentOnceTheContextIsDone(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collect(ctx, sse.NewClient(sse.ClientOptions{URL: url})); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if n := len(server.requests); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestHooksSeeEachConnection(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, r *http.Request) {
		stream("data: b\n\n")(w, r)
		panic(http.ErrAbortHandler) // ends the connection without the last chunk
	}
	_, url := serve(t, stream(": one\n\ndata: a\n\n"), cut, refuse(503))
	var seen []string
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	client := sse.NewClient(sse.ClientOptions{
		URL:         url,
		Retry:       time.Millisecond,
		RetryStatus: func(status int) bool { return status == 503 },
		OnOpen:      func(resp *http.Response) { note("open %d", resp.StatusCode) },
		OnComment:   func(text string) { note("comment %s", text) },
		OnReconnect: func(err error, _ time.Duration) {
			status, _ := errors.AsType[*sse.StatusError](err)
			note("reconnect %t %t %t", err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF), status != nil)
		},
	})
	for ev, err := range client.Events(t.Context()) {
		note("event %s %v", ev.Data, err)
	}
	want := "open 200, comment one, event a <nil>, reconnect true false false, " +
		"open 200, event b <nil>, reconnect false true false, reconnect false false true"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("seen:\n%s\nwant:\n%s", got, want)
	}
}

func TestMaxReconnects(t *testing.T) {
	t.Parallel()
	down := refuse(503)
	for _, tt := range []struct {
		name    string
		limit   int
		answers []http.HandlerFunc
		want    string // part of the error, "" for none
		asked   int
	}{
		{"no bound", 0, []http.HandlerFunc{down, down, down, down}, "", 5},
		{"all fail", 2, []http.HandlerFunc{down, down, down, down}, "no stream after 2 reconnections: sse: the server answered 503", 3},
		{"a stream begins the count anew", 2, []http.HandlerFunc{down, down, stream(""), down, stream(""), stream(""), stream(""), down, down}, "no stream after 2", 9},
		{"never, after the end of a stream", -1, []http.HandlerFunc{stream("data: a\n\n")}, "", 1},
		{"never, after a failure", -1, []http.HandlerFunc{down}, "answered 503", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, url := serve(t, tt.answers...)
			_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{
				URL: url, Retry: time.Millisecond, MaxDelay: time.Millisecond, MaxReconnects: tt.limit,
				RetryStatus: func(int) bool { return true },
			}))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := len(server.requests); got != tt.asked {
				t.Errorf("%d requests, want %d", got, tt.asked)
			}
		})
	}
}

func TestTheLimitsOfTheDecoderEndTheSequence(t *testing.T) {
	t.Parallel()
	_, url := serve(t, stream("data: 123456\n\n"))
	_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: url, MaxLine: 5}))
	if !errors.Is(err, sse.ErrLineTooLong) {
		t.Errorf("MaxLine: error %v, want ErrLineTooLong", err)
	}
	_, url = serve(t, stream("data: 123456\n\n"))
	_, err = collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: url, MaxEvent: 5}))
	if !errors.Is(err, sse.ErrEventTooLarge) {
		t.Errorf("MaxEvent: error %v, want ErrEventTooLarge", err)
	}
}

func TestRedirectsKeepTheLastEventID(t *testing.T) {
	t.Parallel()
	server, url := serve(t,
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
		},
		stream("data: a\n\n"))
	got, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: url, LastEventID: "7", MaxReconnects: -1}))
	if got != "7a" || err != nil {
		t.Errorf("events %q, %v, want 7a", got, err)
	}
	if got := strings.Join(server.lastEventIDs(), ","); got != "7,7" {
		t.Errorf("Last-Event-ID of the requests: %q, want 7,7", got)
	}
}

func TestClientOverHTTP2(t *testing.T) {
	t.Parallel()
	server := &connections{
		answers:  []http.HandlerFunc{stream("id: 1\ndata: a\n\n"), stream("data: b\n\n")},
		requests: make(chan *http.Request, 10),
	}
	srv := httptest.NewUnstartedServer(server)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	var protos []string
	got, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{
		URL: srv.URL, HTTPClient: srv.Client(), Retry: time.Millisecond,
		OnOpen: func(resp *http.Response) { protos = append(protos, resp.Proto) },
	}))
	if got != "1a 1b" || err != nil || strings.Join(protos, ",") != "HTTP/2.0,HTTP/2.0" {
		t.Errorf("events %q, %v over %q, want 1a 1b over HTTP/2.0", got, err, protos)
	}
}

func TestConnectErrorsDoNotShowTheURL(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(nil)
	srv.Close() // its port refuses connections from now on
	_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{URL: srv.URL + "/?secret=abc", MaxReconnects: -1}))
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "sse: connect: ") {
		t.Errorf("error %v, want one of connecting, without the query", err)
	}
}
