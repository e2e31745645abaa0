package pipenet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/pipenet"
)

// client is an HTTP client of a handler.
func client(handler http.HandlerFunc) *http.Client {
	return &http.Client{Transport: &pipenet.Transport{Handler: handler}}
}

// body reads a body that must end as it should.
func body(t *testing.T, response *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Errorf("read the body: %v", err)
	}
	return string(text)
}

func TestTheHandlerSeesARequestAsAServerWould(t *testing.T) {
	t.Parallel()
	c := client(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintln(w, r.Method, r.Host, r.RequestURI, r.URL, r.Header.Get("X-A"), r.ContentLength, string(text), r.RemoteAddr != "")
	})
	for _, tt := range []struct {
		method, url string
		body        io.Reader
		want        string
	}{
		{"POST", "http://gateway.internal/a%2fb?x=1&y=%20", strings.NewReader("text"), "POST gateway.internal /a%2fb?x=1&y=%20 /a%2fb?x=1&y=%20 a 4 text true\n"},
		{"GET", "http://h:80", nil, "GET h:80 /  a 0  true\n"},
		{"PUT", "http://h/", io.MultiReader(strings.NewReader("of unknown length")), "PUT named.otherwise / / a -1 of unknown length true\n"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-A", "a")
		if tt.method == http.MethodPut {
			request.Host = "named.otherwise"
		}
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, response); got != tt.want {
			t.Errorf("the handler saw %q, want %q", got, tt.want)
		}
		if request.RequestURI != "" || request.URL.String() != tt.url {
			t.Errorf("the client's request was changed: %+v", request)
		}
	}
}

func TestTheClientSeesTheAnswerAsWritten(t *testing.T) {
	t.Parallel()
	c := client(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Early", "yes")
		switch r.URL.Path {
		case "/plain":
			_, _ = io.WriteString(w, "a")
			_, _ = io.WriteString(w, "b")
			w.Header().Set("X-Late", "too late")
		case "/teapot":
			w.WriteHeader(http.StatusEarlyHints) // no answer yet
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late
			_, _ = io.WriteString(w, "short and stout")
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
			_, _ = io.WriteString(w, "may not be")
		}
	})
	for _, tt := range []struct {
		method, path, status, body string
		length                     int64
	}{
		{"GET", "/plain", "200 OK", "ab", 2},
		{"GET", "/teapot", "418 I'm a teapot", "short and stout", 15},
		{"GET", "/empty", "204 No Content", "", 0},
		{"GET", "/nothing", "200 OK", "", 0},
		{"HEAD", "/plain", "200 OK", "", 0},
	} {
		request, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://h"+tt.path, nil)
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text := body(t, response)
		if response.Status != tt.status || text != tt.body || response.ContentLength != tt.length {
			t.Errorf("%s %s = %q, %q, length %d; want %+v", tt.method, tt.path, response.Status, text, response.ContentLength, tt)
		}
		if response.Header.Get("X-Early") != "yes" || response.Header.Get("X-Late") != "" || response.Request.URL.Path != tt.path {
			t.Errorf("%s: headers %v", tt.path, response.Header)
		}
	}
}

func TestAContextThatEndsWhileTheHandlerRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		c := client(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Hour) // it takes its time to return
			_, err := w.Write([]byte("to nobody"))
			left <- err
		})
		cause := errors.New("had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		closed := &closing{Reader: strings.NewReader("x")}
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://h/", closed)
		start := time.Now()
		response, err := c.Do(request)
		if !errors.Is(err, cause) || time.Since(start) != time.Second {
			t.Errorf("Do = %v, %v after %v; want the cause at once", response, err, time.Since(start))
		}
		if err := <-left; err != nil {
			t.Errorf("the handler could not write: %v", err)
		}
		synctest.Wait()
		if !closed.closed {
			t.Error("the request's body was not closed")
		}
	})
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestAContextThatHasEndedCallsNoHandler(t *testing.T) {
	t.Parallel()
	c := client(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sent := &closing{Reader: strings.NewReader("x")}
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://h/", sent)
	if _, err := c.Do(request); !errors.Is(err, context.Canceled) || !sent.closed {
		t.Errorf("Do: %v, body closed: %v", err, sent.closed)
	}
}

func TestTimeoutsOfTheClientAreTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c.Timeout = time.Second
		_, err := c.Get("http://h/")
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); !ok || !timeout.Timeout() {
			t.Errorf("Get: %v, want a timeout", err)
		}
	})
}

func TestAPanicIsReportedAndAnsweredWith500(t *testing.T) {
	t.Parallel()
	var reported []any
	transport := &pipenet.Transport{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Secret", "x")
			_, _ = io.WriteString(w, "half of the ")
			if r.URL.Path == "/abort" {
				panic(http.ErrAbortHandler)
			}
			panic("bug")
		}),
		Panicked: func(value any, stack []byte) {
			reported = append(reported, value)
			if !strings.Contains(string(stack), "transport_test.go") {
				t.Errorf("the stack does not lead to the handler:\n%s", stack)
			}
		},
	}
	for range 2 {
		for _, path := range []string{"/", "/abort"} {
			response, err := (&http.Client{Transport: transport}).Get("http://h" + path)
			if err != nil {
				t.Fatal(err)
			}
			if text := body(t, response); response.StatusCode != 500 || text != "" || len(response.Header) != 0 {
				t.Errorf("%s: %d %q %v; want a bare 500", path, response.StatusCode, text, response.Header)
			}
		}
		if len(reported) != 1 || reported[0] != "bug" {
			t.Errorf("reported %v, want the bug alone: an abort is none", reported)
		}
		transport.Panicked = nil // is allowed
	}
}

func TestTheTraceReportsThatTheRequestWasWritten(t *testing.T) {
	t.Parallel()
	wrote := 0
	c := client(func(http.ResponseWriter, *http.Request) {
		if wrote != 1 {
			t.Error("WroteRequest was not called before the handler")
		}
	})
	for _, trace := range []*httptrace.ClientTrace{{WroteRequest: func(httptrace.WroteRequestInfo) { wrote++ }}, {}} {
		request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://h/", nil)
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body(t, response)
	}
	if wrote != 1 {
		t.Errorf("WroteRequest was called %d times, want once", wrote)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	c := client(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append(text, r.URL.Path...))
	})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			path, sent := fmt.Sprint("/", i), strings.Repeat(fmt.Sprint(i), 1000)
			response, err := c.Post("http://h"+path, "text/plain", strings.NewReader(sent))
			if err != nil {
				t.Error(err)
				return
			}
			if got := body(t, response); got != sent+path {
				t.Errorf("request %d got the answer of another", i)
			}
		})
	}
	wg.Wait()
}
