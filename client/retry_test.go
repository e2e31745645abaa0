package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted answers each request with the next of some answers: a status and a body, or an
// error.
type scripted struct {
	answers []any // error, or *http.Response
	bodies  []string
	at      []time.Duration // when the requests came
	began   time.Time
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	s.bodies = append(s.bodies, string(body))
	s.at = append(s.at, time.Since(s.began))
	next := s.answers[min(len(s.bodies), len(s.answers))-1]
	if err, ok := next.(error); ok {
		return nil, err
	}
	res := *next.(*http.Response)
	res.Body = io.NopCloser(strings.NewReader(res.Status))
	return &res, nil
}

func answerWith(status int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Status: body, Header: h}
}

func refusalWith(status int, code Code, headers ...string) *http.Response {
	return answerWith(status, fmt.Sprintf(`{"error":{"code":%q,"message":"no"}}`, code), headers...)
}

var (
	okAnswer = answerWith(200, `{"status":"ok"}`)
	errBroke = errors.New("connection reset")
	errDial  = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

// TestWhatIsRepeated: never what may have been done already and must not be done twice.
func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	event := &Event{Data: "d"}
	toToken := func(c *Client) error {
		_, err := c.Send(context.Background(), Message{Token: "t", Event: event})
		return err
	}
	toTopic := func(c *Client) error {
		_, err := c.Send(context.Background(), Message{Topic: "a", Event: event})
		return err
	}
	transient := func(c *Client) error {
		_, err := c.Send(context.Background(), Message{Topic: "a", Event: &Event{Data: "d", Transient: true}})
		return err
	}
	subscribe := func(c *Client) error {
		_, err := c.Subscribe(context.Background(), Subscription{Token: "t", Topics: []string{"a"}})
		return err
	}
	lines := func(c *Client) error { _, err := c.SendLines(context.Background(), [][]byte{[]byte("{}")}); return err }
	topics := func(c *Client) error {
		for _, err := range c.Topics(context.Background(), TopicQuery{}) {
			return err
		}
		return nil
	}
	calls := map[string]func(*Client) error{
		"token": toToken, "topic": toTopic, "transient": transient, "subscribe": subscribe, "lines": lines, "topics": topics,
		"end":    func(c *Client) error { return c.EndStream(context.Background(), "t", "") },
		"delete": func(c *Client) error { return c.DeleteTopic(context.Background(), "a") },
	}
	all := []string{"token", "topic", "transient", "subscribe", "lines", "topics", "end", "delete"}
	harmless := []string{"topic", "subscribe", "topics", "end", "delete"}
	for name, tt := range map[string]struct {
		answer   any
		repeated []string
	}{
		"not connected":       {errDial, all},
		"connection broke":    {errBroke, harmless},
		"buffer full":         {refusalWith(503, CodeBufferFull), all},
		"draining":            {refusalWith(503, CodeDraining), all},
		"too many requests":   {refusalWith(429, "TOO_MANY_FROM_ADDRESS"), all},
		"storage away":        {refusalWith(503, CodeEngineUnavailable), harmless},
		"a proxy's error":     {answerWith(502, "<html>"), harmless},
		"half an answer":      {answerWith(200, `{"stat`), harmless},
		"unknown":             {refusalWith(404, CodeTokenNotFound), nil},
		"wrong":               {refusalWith(400, CodeInvalidTopic), nil},
		"no secret":           {refusalWith(401, CodeUnauthorized), nil},
		"an error of its own": {refusalWith(500, "INTERNAL"), nil},
	} {
		for call, do := range calls {
			if name == "half an answer" && call == "lines" {
				continue // they are passed on as they come
			}
			synctest.Test(t, func(t *testing.T) {
				server := &scripted{answers: []any{tt.answer, answerWith(200, `{"status":"ok","code":200}`)}, began: time.Now()}
				c, err := New(Options{URL: "http://gateway.test", Transport: server})
				if err != nil {
					t.Fatal(err)
				}
				err = do(c)
				want := 1
				for _, repeated := range tt.repeated {
					if repeated == call {
						want = 2
					}
				}
				if len(server.bodies) != want || (err == nil) != (want == 2) {
					t.Errorf("%s, %s: %d requests, want %d; %v", name, call, len(server.bodies), want, err)
				}
				for _, body := range server.bodies[1:] {
					if body != server.bodies[0] {
						t.Errorf("%s, %s: repeated with %s in place of %s", name, call, body, server.bodies[0])
					}
				}
			})
		}
	}
}

// TestRepeatsAreBounded in number, and in time: by the life of an idempotency key.
func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts     Options
		answer   any
		requests int
		least    time.Duration // of the whole call
		most     time.Duration
	}{
		"by default":         {Options{}, refusalWith(503, CodeBufferFull), 4, 700 * time.Millisecond, 1050 * time.Millisecond},
		"never":              {Options{Retries: -1}, refusalWith(503, CodeBufferFull), 1, 0, 0},
		"once":               {Options{Retries: 1}, errDial, 2, 100 * time.Millisecond, 150 * time.Millisecond},
		"Retry-After":        {Options{Retries: 1}, refusalWith(503, CodeBufferFull, "Retry-After", "7"), 2, 7 * time.Second, 7 * time.Second},
		"a long Retry-After": {Options{}, refusalWith(503, CodeBufferFull, "Retry-After", "31"), 1, 0, 0},
		"many":               {Options{Retries: 1000}, errDial, 24, 90 * time.Second, 110 * time.Second},
		"longer than a key":  {Options{Timeout: 2 * time.Minute}, errDial, 1, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &scripted{answers: []any{tt.answer}, began: time.Now()}
			tt.opts.URL, tt.opts.Transport = "http://gateway.test", server
			c, err := New(tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Send(t.Context(), Message{Topic: "a", Close: true})
			passed := time.Since(server.began)
			many := tt.requests > 20 // jitter decides how many exactly
			if err == nil || !many && len(server.bodies) != tt.requests || many && len(server.bodies) < 15 || passed < tt.least || passed > tt.most {
				t.Errorf("%s: %d requests in %v, want %d in %v to %v; %v", name, len(server.bodies), passed, tt.requests, tt.least, tt.most, err)
			}
		})
	}
}

func TestACallerThatGivesUpEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &scripted{answers: []any{refusalWith(503, CodeBufferFull, "Retry-After", "20")}, began: time.Now()}
		c, err := New(Options{URL: "http://gateway.test", Transport: server})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err = c.Send(ctx, Message{Token: "t", Event: &Event{}})
		if passed := time.Since(server.began); passed != 3*time.Second || CodeOf(err) != CodeBufferFull {
			t.Errorf("Send = %v after %v", err, passed)
		}
	})
}

// TestKeysAreMadeOnlyWhereARepeatNeedsOne.
func TestKeysAreMadeOnlyWhereARepeatNeedsOne(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		retries int
		message Message
		want    string // "" for none, "*" for a random one
	}{
		"topic":            {0, Message{Topic: "a"}, "*"},
		"its own":          {0, Message{Topic: "a", IdempotencyKey: "k"}, "k"},
		"token":            {0, Message{Token: "a"}, ""},
		"transient":        {0, Message{Topic: "a", Event: &Event{Transient: true}}, ""},
		"without a repeat": {-1, Message{Topic: "a"}, ""},
	} {
		server := &scripted{answers: []any{okAnswer}}
		c, err := New(Options{URL: "http://gateway.test", Transport: server, Retries: tt.retries})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := c.Send(t.Context(), tt.message); err != nil {
				t.Fatal(err)
			}
		}
		_, key, found := strings.Cut(server.bodies[0], `"idempotency_key":"`)
		switch fresh := server.bodies[0] != server.bodies[1]; {
		case found != (tt.want != ""), tt.want == "*" && (!fresh || len(key) < 20), tt.want == "k" && !strings.HasPrefix(key, `k"`):
			t.Errorf("%s: sent %q", name, server.bodies)
		}
	}
}
