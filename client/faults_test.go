package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate/client"
)

// losingAnswers passes requests on to a gateway, and cuts the connection in place of
// every third answer.
func losingAnswers(t *testing.T, gateway string) *httptest.Server {
	t.Helper()
	target, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(res *http.Response) error {
			if requests.Add(1)%3 == 0 {
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server
}

// TestALostAnswerMakesNoDouble: the gateway has taken the event, and the client cannot
// know. What is repeated has the same key.
func TestALostAnswerMakesNoDouble(t *testing.T) {
	t.Parallel()
	gateway := startGateway("", "")
	t.Cleanup(gateway.stop)
	tide, err := client.New(client.Options{URL: losingAnswers(t, gateway.internalURL).URL, Retries: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tide.CloseIdleConnections)
	const senders, each = 4, 25
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for n := range each / 5 {
				batch := make([]client.Message, 4)
				for i := range batch {
					batch[i] = client.Message{Topic: "a", Event: &client.Event{Data: fmt.Sprint(sender, ":", 5*n+i)}}
				}
				results, err := tide.SendBatch(t.Context(), batch)
				if err != nil || slices.ContainsFunc(results, func(r client.Result) bool { return r.Err() != nil }) {
					t.Errorf("SendBatch = %+v, %v", results, err)
				}
				if _, err := tide.Send(t.Context(), client.Message{Topic: "a", Event: &client.Event{Data: fmt.Sprint(sender, ":", 5*n+4)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()

	var next [senders]int
	for e, err := range tide.Events(t.Context(), "a", client.EventQuery{Limit: 7}) {
		if err != nil {
			t.Fatal(err)
		}
		var sender, n int
		if _, err := fmt.Sscanf(strings.ReplaceAll(e.Data, ":", " "), "%d %d", &sender, &n); err != nil || n != next[sender] {
			t.Fatalf("event %q, %v; want number %d of its sender", e.Data, err, next[sender])
		}
		next[sender]++
	}
	if next != [senders]int{each, each, each, each} {
		t.Errorf("the topic has %v events of each sender, want %d", next, each)
	}
}
