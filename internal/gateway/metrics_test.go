package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"tidegate/internal/gateway"
	callbacks "tidegate/internal/gateway/callback"
	"tidegate/internal/metric"
	"tidegate/internal/wire"
)

// TestMetricsFollowTheRules of Prometheus, with every series that there can be.
func TestMetricsFollowTheRules(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	r.subscribe(token, `["task:1"]`)
	r.publish("task:1", "x")
	r.send("{}")
	c.until("data: x\n\n")
	c.leave()
	r.backend.next(wire.Disconnect)
	r.backend.connects(http.StatusForbidden)
	r.open("/x").reply()
	got := r.get("/metrics")
	if got.Status != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("metrics: %d %q", got.Status, got.Header.Get("Content-Type"))
	}
	problems, err := promlint.New(strings.NewReader(got.Body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tidegate_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, secret := range []string{token, "s3cret", "task:1"} {
		if strings.Contains(got.Body, secret) {
			t.Errorf("metrics contain %q", secret)
		}
	}
}

// TestMetricsCountWhatHappened: and gauges are back where they were.
func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxConns = 7 })
	want := func(series, value string) {
		t.Helper()
		if got := r.count(series); got != value {
			t.Errorf("%s %s, want %s", series, got, value)
		}
	}
	var clients []*client
	for range 3 {
		c, token := r.accepted("/x")
		r.subscribe(token, `["task:1"]`)
		clients = append(clients, c)
	}
	want("tidegate_streams", "3")
	want("tidegate_streams_limit", "7")
	r.publish("task:1", "x")
	for _, c := range clients {
		c.until("data: x\n\n")
		c.leave()
		r.backend.next(wire.Disconnect)
	}
	r.send(`{"topic":"task:1","event":{"data":"y"}}`)
	r.send(`{` + tokenNone + `}`)
	r.halt()
	want("tidegate_streams", "0")
	want("tidegate_disconnects_queued", "0")
	want("tidegate_callbacks_waiting", "0")
	want("tidegate_callbacks_late", "0")
	want(`tidegate_streams_ended_total{detail="",reason="client_closed"}`, "3")
	want(`tidegate_streams_ended_total{detail="drain",reason="server_closed"}`, "0") // every series is there from the start
	want(`tidegate_callbacks_total{action="connect",status="200"}`, "3")
	want(`tidegate_callbacks_total{action="disconnect",status="200"}`, "3")
	want("tidegate_callback_duration_seconds_count{action=\"connect\"}", "3")
	want(`tidegate_sends_total{code="200",target="topic"}`, "2")
	want(`tidegate_sends_total{code="TOKEN_NOT_FOUND",target="token"}`, "1")
	want("tidegate_events_delivered_total", "3")
	want("tidegate_events_published_total", "2")
	want("tidegate_topics", "1")
	want("tidegate_history_events", "2")
	want(`tidegate_history_dropped_total{reason="events"}`, "0")
}

func TestEveryEndingHasASeries(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	body := r.get("/metrics").Body
	for _, e := range wire.Endings() {
		if series := fmt.Sprintf("tidegate_streams_ended_total{detail=%q,reason=%q} 0", e.Detail, e.Reason); !strings.Contains(body, series) {
			t.Errorf("no series %s", series)
		}
	}
}

// TestDropReasonsAreInTheReference, each with a series from the start.
func TestDropReasonsAreInTheReference(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, series := range metric.DisconnectsDropped.Series() {
		listed = append(listed, series[0])
	}
	if want := callbacks.DropReasons(); !slices.Equal(listed, want) {
		t.Errorf("the list of metrics has the reasons %q, callback has %q", listed, want)
	}
}
