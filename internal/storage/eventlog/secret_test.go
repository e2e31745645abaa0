package eventlog

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
)

// TestX15NodesShareTheSecretOfIDs, which outlives them; a log of before ids were
// sealed gets one, and it is not logged.
func TestX15NodesShareTheSecretOfIDs(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openWith(t, nats.Options{URLs: []string{s.URL()}, Needs: nats.NeedLog})
	ev, err := e.JetStream().Stream(t.Context(), e.StreamName("EV"))
	if err != nil {
		t.Fatal(err)
	}
	secret := ev.CachedInfo().Config.Metadata["tidegate_id_secret"]
	if len(secret) < 26 {
		t.Fatalf("the secret is %q", secret)
	}
	a := runHub(t, e, ev, Options{})
	id := a.publish(t, "a", "1")
	last := a.publish(t, "a", "2")
	if !strings.Contains(id, "_") {
		t.Errorf("id %q has no seal", id)
	}
	other := openWith(t, nats.Options{URLs: []string{s.URL()}, Needs: nats.NeedLog})
	b := runHub(t, other, ev, Options{})
	for name, n := range map[string]*hubNode{"the first": a, "another": b} {
		if page, _, err := n.hub.Events(t.Context(), "a", id, 10); err != nil || len(page) != 1 || page[0].ID != last {
			t.Errorf("%s node after %q: %+v, %v; want %q", name, id, page, err, last)
		}
		if _, _, err := n.hub.Events(t.Context(), "a", id[:len(id)-1]+"9", 10); err == nil {
			t.Errorf("%s node takes a wrong seal", name)
		}
	}

	config := ev.CachedInfo().Config
	delete(config.Metadata, "tidegate_id_secret")
	if _, err := e.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	openWith(t, nats.Options{URLs: []string{s.URL()}, Needs: nats.NeedLog})
	var now jetstream.Stream
	if now, err = e.JetStream().Stream(t.Context(), e.StreamName("EV")); err != nil {
		t.Fatal(err)
	}
	if got := now.CachedInfo().Config.Metadata["tidegate_id_secret"]; got == "" || got == secret {
		t.Errorf("the secret of a log that had none is %q, before %q", got, secret)
	}
}
