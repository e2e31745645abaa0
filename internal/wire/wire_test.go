package wire_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sluice/internal/wire"
)

func TestSignatureHoldsForItsBodyKeyAndTime(t *testing.T) {
	t.Parallel()
	key, body, now := []byte("key"), []byte(`{"action":"connect"}`), time.Unix(1767322445, 0)
	signed := wire.Sign(key, body, now)
	if want := "t=1767322445,v1="; signed[:len(want)] != want || len(signed) != len(want)+64 {
		t.Errorf("Sign = %q, want %s and 64 hex digits", signed, want)
	}
	for _, c := range []struct {
		what   string
		key    string
		body   string
		header string
		later  time.Duration
		want   error
	}{
		{"as signed", "key", string(body), signed, 0, nil},
		{"with other fields", "key", string(body), "v0=00, " + signed + ",x", 0, nil},
		{"at the end of its life", "key", string(body), signed, wire.SignatureTolerance, nil},
		{"too late", "key", string(body), signed, wire.SignatureTolerance + time.Second, wire.ErrSignatureStale},
		{"from the future", "key", string(body), signed, -wire.SignatureTolerance - time.Second, wire.ErrSignatureStale},
		{"with another key", "kez", string(body), signed, 0, wire.ErrSignatureWrong},
		{"for another body", "key", string(body) + " ", signed, 0, wire.ErrSignatureWrong},
		{"with another time", "key", string(body), "t=1767322446" + signed[12:], 0, wire.ErrSignatureWrong},
		{"without a sum", "key", string(body), "t=1767322445,v1=", 0, wire.ErrSignatureForm},
		{"without a time", "key", string(body), signed[13:], 0, wire.ErrSignatureForm},
		{"empty", "key", string(body), "", 0, wire.ErrSignatureForm},
		{"not hex", "key", string(body), "t=1767322445,v1=zz", 0, wire.ErrSignatureForm},
		{"with a huge time", "key", string(body), "t=9223372036854775807,v1=00", 0, wire.ErrSignatureStale},
	} {
		if err := wire.Verify([]byte(c.key), []byte(c.body), c.header, now.Add(c.later)); !errors.Is(err, c.want) {
			t.Errorf("Verify %s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestErrorsWithoutACodeSayNothingOfThemselves(t *testing.T) {
	t.Parallel()
	secret := errors.New("open /etc/secret: permission denied")
	w := httptest.NewRecorder()
	wire.WriteError(w, secret)
	if got := w.Body.String(); w.Code != http.StatusInternalServerError || got != `{"error":{"message":"Internal error","code":"INTERNAL"}}` {
		t.Errorf("WriteError of an unknown error: %d %s", w.Code, got)
	}
}

func TestErrorsKeepTheirStatusThroughWrapping(t *testing.T) {
	t.Parallel()
	full := &wire.Error{Status: 503, Code: wire.CodeBufferFull, Message: "Buffer full", RetryAfter: 1200 * time.Millisecond}
	w := httptest.NewRecorder()
	wire.WriteError(w, fmt.Errorf("send: %w", full))
	if got := w.Body.String(); w.Code != 503 || got != `{"error":{"message":"Buffer full","code":"BUFFER_FULL"}}` {
		t.Errorf("WriteError: %d %s", w.Code, got)
	}
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q, want whole seconds, rounded up: 2", got)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestEveryDetailGoesWithOneReason(t *testing.T) {
	t.Parallel()
	seen := map[wire.Detail]wire.Reason{}
	for _, e := range wire.Endings() {
		if other, twice := seen[e.Detail]; twice && other != e.Reason {
			t.Errorf("detail %q goes with %q and %q", e.Detail, other, e.Reason)
		}
		seen[e.Detail] = e.Reason
	}
	if len(seen) != 12 {
		t.Errorf("%d details are listed, want all 12", len(seen))
	}
}
