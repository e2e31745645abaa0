package gateway_test

import (
	"testing"
	"time"

	receiver "tidegate/client"
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
		signed := receiver.Signed{Method: cb.Method, Target: cb.Target, Body: []byte(cb.Raw)}
		signature := cb.Header.Get(receiver.SignatureHeader)
		if err := receiver.Verify(callbackKey, signed, signature, time.Now()); err != nil {
			t.Errorf("callback URL with %q, sent as %q: %v", target, cb.Target, err)
		}
		signed.Target += "x"
		if receiver.Verify(callbackKey, signed, signature, time.Now()) == nil {
			t.Errorf("%q: the signature is good at another target", target)
		}
	}
}
