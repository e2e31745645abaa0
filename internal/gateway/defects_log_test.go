package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestGW25SecretsStayOutOfTheLog: at the finest level, through every way that a
// stream can take.
func TestGW25SecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	var log logBuffer
	r := setup(t, sockets, func(o *gateway.Options) {
		o.Log, o.CallbackSecrets, o.Secrets = log.logger(), secretsOf(t, callbackKey), secrets(t)
	})
	secrets := []string{"s3cret", "callback-key", internalKey, "cookie-value", "bearer-value", "query-value", "event-data"}
	header := []string{"Cookie: session=cookie-value", "Authorization: Bearer bearer-value"}
	target := "/x?access_token=query-value"

	c, token := r.accepted(target, header...)
	secrets = append(secrets, token)
	r.call(http.MethodPost, "/internal/send", "application/json", `{"token":"`+token+`","event":{"data":"event-data"}}`, "Authorization", "Bearer "+internalKey)
	c.until("event-data")
	c.leave()
	r.backend.next(wire.Disconnect)

	for _, status := range []int{302, 401, 500} {
		r.backend.connects(status)
		r.open(target, header...).reply()
		secrets = append(secrets, r.backend.next(wire.Connect).Token)
	}
	r.backend.breaks()
	r.open(target, header...).reply()
	secrets = append(secrets, r.backend.next(wire.Connect).Token)
	r.backend.skipTo(wire.Disconnect)     // the connect may be sent once more, on a new connection
	r.backend.status(http.StatusNotFound) // refuses the disconnect
	r.halt()

	text := log.String()
	if !strings.Contains(text, "stream ended") || !strings.Contains(text, "stream refused") {
		t.Fatalf("the log does not tell of streams: %s", text)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the log contains %q: %s", secret, text)
		}
	}
}

// TestGW26NormalEndsAreLoggedAsSuch: one line, with the reason, below info, and
// no line says that something was early or missing.
func TestGW26NormalEndsAreLoggedAsSuch(t *testing.T) {
	t.Parallel()
	var log logBuffer
	r := setup(t, sockets, func(o *gateway.Options) { o.Log = log.logger() })
	for range 3 {
		c, token := r.accepted("/x?q=1")
		r.send(`{"token":"` + token + `","close":true}`)
		c.wantEnd("")
		r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
	}
	lines := 0
	for line := range strings.Lines(log.String()) {
		lines++
		var entry struct{ Level, Msg, Reason, Detail string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level != "DEBUG" || entry.Msg != "stream ended" || entry.Reason != "server_closed" || entry.Detail != "closed" {
			t.Errorf("a normal end is logged as %s", line)
		}
	}
	if lines != 3 {
		t.Errorf("three streams that ended normally made %d lines, want 3", lines)
	}
}
