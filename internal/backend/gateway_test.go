package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/client"
	"tidegate/internal/wire"
)

// fakeGateway is as much of a gateway's internal API as these tests need.
type fakeGateway struct {
	// before sees each request first; if it returns true it has answered.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu      sync.Mutex
	calls   []string // each request: method, target, body
	topics  map[string]*wire.TopicInfo
	log     map[string][]client.Message // what each topic or token was sent
	keys    map[string]bool
	streams []wire.StreamInfo
}

func newFakeGateway() *fakeGateway {
	return &fakeGateway{topics: map[string]*wire.TopicInfo{}, log: map[string][]client.Message{}, keys: map[string]bool{}}
}

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	g.calls = append(g.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	g.mu.Unlock()
	if g.before != nil && g.before(w, r) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = w.Write(g.answer(r, body))
}

func (g *fakeGateway) answer(r *http.Request, body []byte) (out []byte) {
	path, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/internal/"), "/")
	switch r.Method + " " + path {
	case "POST send":
		for line := range strings.Lines(string(body)) {
			var m client.Message
			_ = json.Unmarshal([]byte(line), &m)
			out = append(append(out, encode(g.send(m))...), '\n')
		}
		return out
	case "POST subscribe":
		var q wire.SubscribeRequest
		_ = json.Unmarshal(body, &q)
		topics := map[string]wire.TopicInfo{}
		for _, name := range q.Topics {
			topics[name] = *g.topic(name)
		}
		var absent []string
		for _, a := range q.Absent {
			if t := g.topics[a.Topic]; t != nil && (t.Appended > 0 || t.Closed) {
				topics[a.Topic] = *t
			} else {
				absent = append(absent, a.Topic)
			}
		}
		return encode(wire.SubscribeAnswer{Status: "buffered", Topics: topics, Absent: absent})
	case "GET topics":
		if topic, ok := strings.CutSuffix(name, "/events"); ok {
			var page wire.EventPage
			for _, m := range g.log[topic] {
				page.Events = append(page.Events, wire.EventInfo{Name: m.Event.Name, Data: m.Event.Data})
			}
			return encode(page)
		}
		if name != "" {
			return encode(g.topic(name))
		}
		var page wire.TopicPage
		for _, name := range slices.Sorted(maps.Keys(g.topics)) {
			if t := g.topics[name]; strings.HasPrefix(name, r.FormValue("prefix")) && !(t.Closed && r.FormValue("open") == "true") {
				page.Topics = append(page.Topics, *t)
			}
		}
		return encode(page)
	case "GET streams":
		return encode(wire.StreamPage{Streams: slices.DeleteFunc(slices.Clone(g.streams),
			func(s wire.StreamInfo) bool { return !slices.Contains(s.Topics, r.FormValue("topic")) })})
	case "DELETE streams":
		g.streams = slices.DeleteFunc(g.streams, func(s wire.StreamInfo) bool { return s.Token == name })
	case "DELETE topics":
		g.topics[name] = &wire.TopicInfo{Topic: name, LastID: g.topic(name).LastID} // its keys stay, too
	}
	return []byte("{}")
}

func (g *fakeGateway) topic(name string) *wire.TopicInfo {
	if g.topics[name] == nil {
		g.topics[name] = &wire.TopicInfo{Topic: name}
	}
	return g.topics[name]
}

func (g *fakeGateway) send(m client.Message) wire.SendAnswer {
	answer := wire.SendAnswer{Status: "ok", Code: http.StatusOK}
	if m.Topic == "" {
		g.log[m.Token] = append(g.log[m.Token], m)
		return answer
	}
	t := g.topic(m.Topic)
	answer.Receivers = new(t.Streams)
	switch key := m.Topic + " " + m.IdempotencyKey; {
	case m.IdempotencyKey != "" && g.keys[key]:
	case t.Closed:
		return wire.SendAnswer{Code: http.StatusConflict, Error: wire.Errorf(http.StatusConflict, wire.CodeTopicClosed, "Topic is closed")}
	default:
		g.keys[key] = true
		g.log[m.Topic] = append(g.log[m.Topic], m)
		t.Appended, t.LastAt, t.Closed = t.Appended+1, time.Now().UTC().Format(time.RFC3339Nano), m.Close
		t.LastID = fmt.Sprint("id-", len(g.keys))
	}
	return answer
}

// RoundTrip makes the gateway a transport: no sockets, so it works in a bubble.
func (g *fakeGateway) RoundTrip(r *http.Request) (*http.Response, error) {
	answered := make(chan *http.Response, 1)
	// It ends when the handler does, which must look at the request's context.
	go func() {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		answered <- w.Result()
	}()
	select {
	case res := <-answered:
		return res, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// sent is what a topic or token was sent, one "name data" each.
func (g *fakeGateway) sent(to string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, m := range g.log[to] {
		out = append(out, m.Event.Name+" "+m.Event.Data)
	}
	return out
}

// called is what was asked of the gateway since the last call of called.
func (g *fakeGateway) called() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := g.calls
	g.calls = nil
	return calls
}

// lastCall is the call that came last.
func (g *fakeGateway) lastCall() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[len(g.calls)-1]
}

// sentToTokens lists the requests that sent something to streams, not to topics.
func (g *fakeGateway) sentToTokens() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(slices.DeleteFunc(slices.Clone(g.calls), func(call string) bool {
		return !strings.HasPrefix(call, "POST /internal/send") || !strings.Contains(call, `{"token":`)
	}), "\n")
}

// transportFunc is a transport made of a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// dial serves handler over a real socket and returns a client of it.
func dial(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{URL: server.URL, Timeout: time.Minute, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}
