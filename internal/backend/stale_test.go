package backend

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"tidegate/client"
)

// What may be done twice is repeated when the gateway, or a proxy in front of it,
// closes a kept connection as the request goes out. A send to a token is not.
func TestX24CallsOnAConnectionThatTheGatewayCloses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call  func(*client.Client) error
		again bool
	}{
		"subscribe": {func(c *client.Client) error {
			_, err := c.Subscribe(t.Context(), client.Subscription{Token: "t", Topics: []string{"a"}})
			return err
		}, true},
		"unsubscribe": {func(c *client.Client) error { return c.Unsubscribe(t.Context(), "t", []string{"a"}) }, true},
		"topic":       {func(c *client.Client) error { _, err := c.Topic(t.Context(), "a"); return err }, true},
		"send": {func(c *client.Client) error {
			_, err := c.Send(t.Context(), client.Message{Token: "t", Event: &client.Event{Data: "x"}})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header["Idempotency-Key"] != nil {
					t.Error("what is for net/http alone is sent")
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				if requests.Add(1) == 2 {
					panic(http.ErrAbortHandler)
				}
				_, _ = io.WriteString(w, `{}`)
			})
			if _, err := c.Topic(t.Context(), "first"); err != nil {
				t.Fatal(err)
			}
			err := tt.call(c)
			if tt.again && err != nil || !tt.again && !errors.Is(err, client.ErrUnreachable) {
				t.Errorf("error %v, repeated: want %v", err, tt.again)
			}
		})
	}
}
