package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// The values were computed by other means:
//
//	printf '1767322445.{"action":"connect"}' | openssl dgst -sha256 -hmac secret
//	printf '1767322445.POST./api/sse/callback?a=b.{"action":"connect"}' | openssl dgst -sha256 -hmac secret
const (
	sumV1     = "06bf27f93e34d01b772696a9ea2812a42741a9928932cdb378a1d519ddd7c881"
	sumV2     = "36dfab606a8ed68404ab4fa72babd68d0fc5979ddb49f33d56ae36b268e9bc44"
	former    = "t=1767322445,v1=" + sumV1
	signature = former + ",v2=" + sumV2
)

var (
	signedAt = time.Unix(1767322445, 0)
	signed   = wire.Signed{Method: "POST", Target: "/api/sse/callback?a=b", Body: []byte(`{"action":"connect"}`)}
)

func TestSignIsStableOverVersions(t *testing.T) {
	t.Parallel()
	if got := wire.Sign([]byte("secret"), signed, signedAt); got != signature {
		t.Errorf("Sign = %q, want %q", got, signature)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, key, header string
		after             time.Duration
		want              error
	}{
		{"right", "secret", signature, 0, nil},
		{"v2 alone", "secret", "t=1767322445,v2=" + sumV2, 0, nil},
		{"of the version before", "secret", former, 0, nil},
		{"in another order, with spaces and a third scheme", "secret", "v3=abc, v2=" + sumV2 + " ,  t=1767322445,", 0, nil},
		{"of two keys", "secret", signature + ",v2=" + sumV1, 0, nil},
		{"as old as may be", "secret", signature, wire.SignatureTolerance, nil},
		{"as far ahead as may be", "secret", signature, -wire.SignatureTolerance, nil},
		{"too old", "secret", signature, wire.SignatureTolerance + time.Second, wire.ErrSignatureStale},
		{"from the future", "secret", signature, -wire.SignatureTolerance - time.Second, wire.ErrSignatureStale},
		{"another key", "Secret", signature, 0, wire.ErrSignatureWrong},
		{"another time", "secret", "t=1767322446,v1=" + sumV1, 0, wire.ErrSignatureWrong},
		{"another time of v2", "secret", "t=1767322446,v2=" + sumV2, 0, wire.ErrSignatureWrong},
		{"a right v1 beside a wrong v2", "secret", former + ",v2=" + sumV1, 0, wire.ErrSignatureWrong},
		{"a right v1 beside no v2", "secret", former + ",v2=", 0, wire.ErrSignatureForm},
		{"the same time written otherwise", "secret", "t=+1767322445,v1=" + sumV1, 0, wire.ErrSignatureWrong},
		{"two times", "secret", "t=1767322444," + signature, 0, wire.ErrSignatureForm},
		{"half of it", "secret", signature[:len(signature)-2], 0, wire.ErrSignatureForm},
		{"nothing", "secret", "", 0, wire.ErrSignatureForm},
		{"no sum", "secret", "t=1767322445", 0, wire.ErrSignatureForm},
		{"empty sum", "secret", "t=1767322445,v1=", 0, wire.ErrSignatureForm},
		{"no hex", "secret", "t=1767322445,v1=zz", 0, wire.ErrSignatureForm},
		{"odd hex", "secret", "t=1767322445,v1=abc", 0, wire.ErrSignatureForm},
		{"no time", "secret", "v1=" + sumV1, 0, wire.ErrSignatureForm},
		{"a time that is none", "secret", "t=now,v1=" + sumV1, 0, wire.ErrSignatureForm},
		{"many sums", "secret", signature + strings.Repeat(",v2="+sumV2, 10), 0, wire.ErrSignatureForm},
		{"a time beyond all", "secret", "t=9223372036854775807,v1=" + sumV1, 0, wire.ErrSignatureStale},
		{"a time before all", "secret", "t=-9223372036854775808,v1=" + sumV1, 0, wire.ErrSignatureStale},
	} {
		err := wire.Verify([]byte(tt.key), signed, tt.header, signedAt.Add(tt.after))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestX10ASignatureIsGoodAtOnePlaceOnly(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]wire.Signed{
		"body":   {Method: signed.Method, Target: signed.Target, Body: []byte(`{"action":"disconnect"}`)},
		"target": {Method: signed.Method, Target: "/api/sse/callback", Body: signed.Body},
		"method": {Method: "PUT", Target: signed.Target, Body: signed.Body},
	} {
		if err := wire.Verify([]byte("secret"), other, signature, signedAt); !errors.Is(err, wire.ErrSignatureWrong) {
			t.Errorf("another %s: %v, want %v", name, err, wire.ErrSignatureWrong)
		}
	}
}
