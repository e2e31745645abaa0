package gateway_test

import (
	"net/url"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestX10SignaturesCoverTheTargetAsItIsSent, however it is written.
func TestX10SignaturesCoverTheTargetAsItIsSent(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"", "/", "/cb", "/a%2Fb//c/../d", "/cb?", "/cb?secret=x&y=%zz", "/cb?a=b+c;d", "/%C3%A4?\u00fc", "/a b"} {
		r := setup(t, sockets, func(o *gateway.Options) {
			o.CallbackURL, o.CallbackSecrets = "http://backend.test"+target, secretsOf(t, callbackKey)
		})
		r.open("/x")
		cb := r.backend.next(wire.Connect)
		signed := wire.Signed{Method: cb.Method, Target: cb.Target, Body: []byte(cb.Raw)}
		signature := cb.Header.Get(wire.SignatureHeader)
		if err := wire.Verify([]byte(callbackKey), signed, signature, time.Now()); err != nil {
			t.Errorf("callback URL with %q, sent as %q: %v", target, cb.Target, err)
		}
		signed.Target += "x"
		if wire.Verify([]byte(callbackKey), signed, signature, time.Now()) == nil {
			t.Errorf("%q: the signature is good at another target", target)
		}
	}
}

// FuzzRetryAfter: what is passed on is seconds within bounds or a date, whatever a
// backend says.
func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"7", "-1", "99999999999999999999", "Wed, 21 Oct 2037 07:28:00 GMT", "soon", "\r\nX: y"} {
		f.Add(text)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, text string) {
		value, wait := gateway.RetryAfter(text, now)
		if wait < 0 || wait > 24*time.Hour || len(value) > 29 || value != url.PathEscape(value) && len(value) != 29 {
			t.Errorf("RetryAfter(%q) = %q, %v", text, value, wait)
		}
		if again, _ := gateway.RetryAfter(value, now); again != value {
			t.Errorf("RetryAfter(%q) = %q, read again it is %q", text, value, again)
		}
	})
}
