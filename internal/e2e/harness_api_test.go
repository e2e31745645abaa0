package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// api is the internal API of a gateway.
type api struct {
	t      testing.TB
	base   string
	client *http.Client
}

// api gives the program's internal API.
func (p *program) api() *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &api{t: p.t, base: p.internal, client: &http.Client{Transport: transport}}
}

// try does a request; err is that of the network.
func (a *api) try(method, path, kind, body string) (status int, answer string, err error) {
	request, err := http.NewRequest(method, a.base+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (a *api) call(method, path, kind, body string) (status int, answer string) {
	a.t.Helper()
	status, answer, err := a.try(method, path, kind, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

// send sends one message and gives the answer.
func (a *api) send(message string) (status int, answer string) {
	a.t.Helper()
	return a.call(http.MethodPost, "/internal/send", "application/json", message)
}

// toToken and toTopic are messages with an event.
func toToken(token, data string) string {
	return fmt.Sprintf(`{"token":%q,"event":{"data":%q}}`, token, data)
}
func toTopic(topic, data string) string {
	return fmt.Sprintf(`{"topic":%q,"event":{"data":%q}}`, topic, data)
}

// mustSend sends one message that must be taken.
func (a *api) mustSend(message string) {
	a.t.Helper()
	if status, answer := a.send(message); status != http.StatusOK {
		a.t.Fatalf("send %.200s: %d %s", message, status, answer)
	}
}

// subscribe attaches a stream to topics.
func (a *api) subscribe(token string, topics ...string) {
	a.t.Helper()
	list, err := json.Marshal(topics)
	if err != nil {
		a.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"token":%q,"topics":%s}`, token, list)
	if status, answer := a.call(http.MethodPost, "/internal/subscribe", "application/json", body); status != http.StatusOK {
		a.t.Fatalf("subscribe: %d %s", status, answer)
	}
}

// stream is a stream in a listing.
type stream struct {
	Token, State, URL string
	Topics            []string
	PendingBytes      int64 `json:"pending_bytes"`
}

// streams lists all streams, page by page.
func (a *api) streams() []stream {
	a.t.Helper()
	var all []stream
	for after := ""; ; {
		_, answer := a.call(http.MethodGet, "/internal/streams?limit=1000&after="+after, "", "")
		var page struct {
			Streams []stream
			Next    string
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			a.t.Fatalf("listing of streams: %v: %s", err, answer)
		}
		all = append(all, page.Streams...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// metric reads one series of /metrics; "" if it is not there.
func (a *api) metric(series string) string {
	a.t.Helper()
	_, text := a.call(http.MethodGet, "/metrics", "", "")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return value
		}
	}
	return ""
}

// idle reports whether no stream is open and no disconnect is left to be delivered.
func (a *api) idle() bool {
	a.t.Helper()
	for _, gauge := range []string{"tidegate_streams", "tidegate_callbacks_waiting", "tidegate_callbacks_late", "tidegate_disconnects_queued"} {
		if a.metric(gauge) != "0" {
			return false
		}
	}
	return true
}
