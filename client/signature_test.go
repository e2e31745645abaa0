package client

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
	signed   = Signed{Method: "POST", Target: "/api/sse/callback?a=b", Body: []byte(`{"action":"connect"}`)}
)

func TestTheGatewaySignsWhatVerifyChecks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	header := wire.Sign([]byte("k"), wire.Signed(signed), now)
	if err := Verify("k", signed, header, now); err != nil || wire.SignatureHeader != SignatureHeader {
		t.Errorf("Verify of what the gateway signs = %v", err)
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
		{"as old as may be", "secret", signature, SignatureTolerance, nil},
		{"as far ahead as may be", "secret", signature, -SignatureTolerance, nil},
		{"too old", "secret", signature, SignatureTolerance + time.Second, ErrSignatureStale},
		{"from the future", "secret", signature, -SignatureTolerance - time.Second, ErrSignatureStale},
		{"another key", "Secret", signature, 0, ErrSignatureWrong},
		{"another time", "secret", "t=1767322446,v1=" + sumV1, 0, ErrSignatureWrong},
		{"another time of v2", "secret", "t=1767322446,v2=" + sumV2, 0, ErrSignatureWrong},
		{"a right v1 beside a wrong v2", "secret", former + ",v2=" + sumV1, 0, ErrSignatureWrong},
		{"a right v1 beside no v2", "secret", former + ",v2=", 0, ErrSignatureForm},
		{"the same time written otherwise", "secret", "t=+1767322445,v1=" + sumV1, 0, ErrSignatureWrong},
		{"two times", "secret", "t=1767322444," + signature, 0, ErrSignatureForm},
		{"half of it", "secret", signature[:len(signature)-2], 0, ErrSignatureForm},
		{"nothing", "secret", "", 0, ErrSignatureForm},
		{"no sum", "secret", "t=1767322445", 0, ErrSignatureForm},
		{"empty sum", "secret", "t=1767322445,v1=", 0, ErrSignatureForm},
		{"no hex", "secret", "t=1767322445,v1=zz", 0, ErrSignatureForm},
		{"odd hex", "secret", "t=1767322445,v1=abc", 0, ErrSignatureForm},
		{"no time", "secret", "v1=" + sumV1, 0, ErrSignatureForm},
		{"a time that is none", "secret", "t=now,v1=" + sumV1, 0, ErrSignatureForm},
		{"many sums", "secret", signature + strings.Repeat(",v2="+sumV2, 10), 0, ErrSignatureForm},
		{"a time beyond all", "secret", "t=9223372036854775807,v1=" + sumV1, 0, ErrSignatureStale},
		{"a time before all", "secret", "t=-9223372036854775808,v1=" + sumV1, 0, ErrSignatureStale},
	} {
		err := Verify(tt.key, signed, tt.header, signedAt.Add(tt.after))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestX10ASignatureIsGoodAtOnePlaceOnly(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]Signed{
		"body":   {Method: signed.Method, Target: signed.Target, Body: []byte(`{"action":"disconnect"}`)},
		"target": {Method: signed.Method, Target: "/api/sse/callback", Body: signed.Body},
		"method": {Method: "PUT", Target: signed.Target, Body: signed.Body},
	} {
		if err := Verify("secret", other, signature, signedAt); !errors.Is(err, ErrSignatureWrong) {
			t.Errorf("another %s: %v, want %v", name, err, ErrSignatureWrong)
		}
	}
}
