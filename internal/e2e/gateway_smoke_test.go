package e2e

import (
	"net/http"
	"strings"
	"testing"

	"tidegate/sse"
)

// TestOneStreamFromEndToEnd: the whole way of an event, with the client that
// comes with the program.
func TestOneStreamFromEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway()
	a := p.api()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	events := sse.NewClient(sse.ClientOptions{URL: p.public + "/news?x=1", HTTPClient: &http.Client{Transport: transport}, MaxReconnects: -1,
		OnOpen: func(*http.Response) {
			token := h.next("connect").Token
			a.subscribe(token, "news:1")
			a.mustSend(`{"topic":"news:1","event":{"name":"n","data":"a\nb"}}`)
			a.mustSend(`{"token":"` + token + `","event":{"data":"c"},"close":true}`)
		}})
	var got []string
	for ev, err := range events.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.Name+" "+strings.ReplaceAll(ev.Data, "\n", "|"))
	}
	if want := "n a|b, message c"; strings.Join(got, ", ") != want {
		t.Errorf("events %q, want %q", got, want)
	}
	cb := h.next("disconnect")
	if cb.Reason != "server_closed" || cb.Detail != "closed" || cb.Request.URL != "/news?x=1" {
		t.Errorf("disconnect %+v", cb)
	}
	p.stop()
	if log := p.log(); !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("the log does not tell of the stop: %s", log)
	}
}
