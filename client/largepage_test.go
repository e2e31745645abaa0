package client_test

import (
	"strings"
	"testing"
	"time"

	"tidegate/client"
)

// TestAPageThatIsTooLargeIsReadInSmallerOnes: escaped as JSON, what a topic holds can be
// several times as large as the bound of its history.
func TestAPageThatIsTooLargeIsReadInSmallerOnes(t *testing.T) {
	t.Parallel()
	gateway := startGateway("", "")
	t.Cleanup(gateway.stop)
	tide, err := client.New(client.Options{URL: gateway.internalURL, Timeout: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tide.CloseIdleConnections)
	data := strings.Repeat(`"`, 400<<10) // 800 KiB as JSON, so that 24 of them exceed 16 MiB
	const events = 24
	for range events {
		if _, err := tide.Send(t.Context(), client.Message{Topic: "a", Event: &client.Event{Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for e, err := range tide.Events(t.Context(), "a", client.EventQuery{}) {
		if err != nil {
			t.Fatalf("after %d events: %v", n, err)
		}
		if e.Data != data {
			t.Fatalf("event %d has %d bytes", n, len(e.Data))
		}
		n++
	}
	if n != events {
		t.Errorf("%d events are listed, want %d", n, events)
	}
}
