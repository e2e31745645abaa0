package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/wire"
)

// dial serves handler over a real socket and returns a client of it.
func dial(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL + "/", Secret: "inner", UserAgent: "test/1", Timeout: time.Minute, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestClientRequestsAreWhatTheInternalAPIAsksFor(t *testing.T) {
	t.Parallel()
	var got []string
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), body)))
		if auth := r.Header.Get("Authorization"); auth != "Bearer inner" {
			t.Errorf("Authorization = %q", auth)
		}
		if agent := r.UserAgent(); agent != "test/1" {
			t.Errorf("User-Agent = %q", agent)
		}
		_, _ = io.WriteString(w, `{"status":"ok","code":200}`)
	})
	ctx := t.Context()
	calls := []func() error{
		func() error {
			_, err := c.Send(ctx, Message{Token: "t", Event: &Event{Name: "n", Data: "<&>"}})
			return err
		},
		func() error {
			_, err := c.SendBatch(ctx, []Message{{Topic: "a:1", Event: &Event{Data: "x\ny"}, Close: true, IdempotencyKey: "k"}})
			return err
		},
		func() error {
			_, err := c.Subscribe(ctx, Subscription{Token: "t", Topics: []string{"a:1"}, From: "latest"})
			return err
		},
		func() error { return c.Unsubscribe(ctx, "t", []string{"a:1"}) },
		func() error {
			for _, err := range c.Streams(ctx, StreamQuery{Topic: "a:1", Limit: 5}) {
				return err
			}
			return nil
		},
		func() error {
			for _, err := range c.Topics(ctx, TopicQuery{Prefix: "task:", Open: true, Limit: 7}) {
				return err
			}
			return nil
		},
		func() error {
			for _, err := range c.Events(ctx, "task:a", EventQuery{After: "x", Limit: 7}) {
				return err
			}
			return nil
		},
		func() error { _, err := c.Stream(ctx, "t/2"); return err },
		func() error { _, err := c.Topic(ctx, "task:a/b c"); return err },
		func() error { return c.DeleteTopic(ctx, "task:ü") },
		func() error { return c.EndStream(ctx, "t/1", "replaced") },
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	want := []string{
		`POST /internal/send application/json {"token":"t","event":{"name":"n","data":"<&>"}}`,
		`POST /internal/send application/x-ndjson {"topic":"a:1","event":{"data":"x\ny"},"close":true,"idempotency_key":"k"}`,
		`POST /internal/subscribe application/json {"token":"t","topics":["a:1"],"from":"latest"}`,
		`POST /internal/unsubscribe application/json {"token":"t","topics":["a:1"]}`,
		`GET /internal/streams?limit=5&topic=a%3A1`,
		`GET /internal/topics?limit=7&open=true&prefix=task%3A`,
		`GET /internal/topics/task:a/events?after=x&limit=7`,
		`GET /internal/streams/t%2F2`,
		`GET /internal/topics/task:a%2Fb%20c`,
		`DELETE /internal/topics/task:%C3%BC`,
		`DELETE /internal/streams/t%2F1?detail=replaced`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalsOfTheGatewayKeepTheirCode(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteError(w, &wire.Error{Status: 503, Code: wire.CodeBufferFull, Message: "Buffer full", RetryAfter: 3 * time.Second})
	})
	_, err := c.Send(t.Context(), Message{Token: "t"})
	e, ok := errors.AsType[*Error](err)
	want := &Error{Status: 503, Code: CodeBufferFull, Message: "Buffer full", RetryAfter: 3 * time.Second}
	if !ok || !cmp.Equal(e, want) {
		t.Errorf("error = %#v, want %#v", err, want)
	}
	if !c.Reachable() {
		t.Error("a gateway that refuses is reachable all the same")
	}
}

func TestAnswersThatAreNotTheGatewaysAreErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status int
		body   string
	}{
		"a page of a proxy":    {502, "<html>Bad gateway</html>"},
		"an error of another":  {404, `{"error":"Not found"}`},
		"no JSON":              {200, "hello"},
		"an answer cut short":  {200, `{"status":"o`},
		"a redirect elsewhere": {302, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				if r.URL.Path == "/elsewhere" {
					t.Error("the redirect was followed")
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			if _, err := c.Send(t.Context(), Message{Token: "t"}); err == nil {
				t.Error("Send = nil, want an error")
			}
		})
	}
}

func TestErrorsDoNotContainTheToken(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nobody listens there any more
	c, err := New(Options{URL: server.URL, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = c.EndStream(t.Context(), "tok3n", "")
	if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "tok3n") {
		t.Errorf("error = %v, want ErrUnreachable without the token", err)
	}
	if c.Reachable() {
		t.Error("Reachable = true after a refused connection")
	}
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// transportFunc is a transport made of a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAnswersAreReadUpToABound(t *testing.T) {
	t.Parallel()
	body := &endless{}
	c, err := New(Options{URL: "http://gateway.test", Retries: -1, Transport: transportFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), Message{Token: "t"}); err == nil || body.read > maxAnswerBytes+64<<10 {
		t.Errorf("Send = %v after %d bytes", err, body.read)
	}
}

func TestURLsThatCannotBeTheGatewayAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "127.0.0.1:8081", "ftp://host", "http://", "http://host/internal", "http://host/a/internal/send", "http://host:1/?x=1",
		"http://user:pw@host", "http://host/#f", "http://[::1", "unix:", "unix:/a:/b", "unix:/a?b",
	} {
		if _, err := New(Options{URL: url}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("New(%q) = %v", url, err)
		}
	}
}

func TestListingsArePagedThrough(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.FormValue("after") {
		case "":
			_, _ = io.WriteString(w, `{"topics":[{"topic":"a"},{"topic":"b"}],"next":"b"}`)
		case "b":
			_, _ = io.WriteString(w, `{"topics":[{"topic":"c"}],"next":"c"}`)
		default:
			wire.WriteError(w, wire.Errorf(503, wire.CodeDraining, "Draining"))
		}
	})
	var got []string
	for topic, err := range c.Topics(t.Context(), TopicQuery{}) {
		if err != nil {
			got = append(got, "error")
			continue
		}
		got = append(got, topic.Topic)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "error"}, got); diff != "" {
		t.Error(diff)
	}
}
