package wire_test

import (
	"testing"
	"time"

	"tidegate/internal/wire"
)

// The sums were computed by other means:
//
//	printf '1767322445.{"action":"connect"}' | openssl dgst -sha256 -hmac secret
//	printf '1767322445.POST./api/sse/callback?a=b.{"action":"connect"}' | openssl dgst -sha256 -hmac secret
const signature = "t=1767322445,v1=06bf27f93e34d01b772696a9ea2812a42741a9928932cdb378a1d519ddd7c881," +
	"v2=36dfab606a8ed68404ab4fa72babd68d0fc5979ddb49f33d56ae36b268e9bc44"

func TestSignIsStableOverVersions(t *testing.T) {
	t.Parallel()
	signed := wire.Signed{Method: "POST", Target: "/api/sse/callback?a=b", Body: []byte(`{"action":"connect"}`)}
	if got := wire.Sign([]byte("secret"), signed, time.Unix(1767322445, 0)); got != signature {
		t.Errorf("Sign = %q, want %q", got, signature)
	}
}
