package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// The value was computed by other means:
//
//	printf '1767322445.{"action":"connect"}' | openssl dgst -sha256 -hmac secret
const signature = "t=1767322445,v1=06bf27f93e34d01b772696a9ea2812a42741a9928932cdb378a1d519ddd7c881"

var signedAt = time.Unix(1767322445, 0)

func TestSignIsStableOverVersions(t *testing.T) {
	t.Parallel()
	if got := wire.Sign([]byte("secret"), []byte(`{"action":"connect"}`), signedAt); got != signature {
		t.Errorf("Sign = %q, want %q", got, signature)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	sum := strings.TrimPrefix(signature, "t=1767322445,v1=")
	for _, tt := range []struct {
		name, key, body, header string
		after                   time.Duration
		want                    error
	}{
		{"right", "secret", `{"action":"connect"}`, signature, 0, nil},
		{"in another order, with spaces and a second scheme", "secret", `{"action":"connect"}`, "v2=abc, v1=" + sum + " ,  t=1767322445,", 0, nil},
		{"as old as may be", "secret", `{"action":"connect"}`, signature, wire.SignatureTolerance, nil},
		{"as far ahead as may be", "secret", `{"action":"connect"}`, signature, -wire.SignatureTolerance, nil},
		{"too old", "secret", `{"action":"connect"}`, signature, wire.SignatureTolerance + time.Second, wire.ErrSignatureStale},
		{"from the future", "secret", `{"action":"connect"}`, signature, -wire.SignatureTolerance - time.Second, wire.ErrSignatureStale},
		{"another key", "Secret", `{"action":"connect"}`, signature, 0, wire.ErrSignatureWrong},
		{"another body", "secret", `{"action":"disconnect"}`, signature, 0, wire.ErrSignatureWrong},
		{"another time", "secret", `{"action":"connect"}`, "t=1767322446,v1=" + sum, 0, wire.ErrSignatureWrong},
		{"the same time written otherwise", "secret", `{"action":"connect"}`, "t=+1767322445,v1=" + sum, 0, wire.ErrSignatureWrong},
		{"half of it", "secret", `{"action":"connect"}`, signature[:len(signature)-2], 0, wire.ErrSignatureWrong},
		{"nothing", "secret", "", "", 0, wire.ErrSignatureForm},
		{"no sum", "secret", "", "t=1767322445", 0, wire.ErrSignatureForm},
		{"empty sum", "secret", "", "t=1767322445,v1=", 0, wire.ErrSignatureForm},
		{"no hex", "secret", "", "t=1767322445,v1=zz", 0, wire.ErrSignatureForm},
		{"odd hex", "secret", "", "t=1767322445,v1=abc", 0, wire.ErrSignatureForm},
		{"no time", "secret", "", "v1=" + sum, 0, wire.ErrSignatureForm},
		{"a time that is none", "secret", "", "t=now,v1=" + sum, 0, wire.ErrSignatureForm},
		{"a time beyond all", "secret", "", "t=9223372036854775807,v1=" + sum, 0, wire.ErrSignatureStale},
		{"a time before all", "secret", "", "t=-9223372036854775808,v1=" + sum, 0, wire.ErrSignatureStale},
	} {
		err := wire.Verify([]byte(tt.key), []byte(tt.body), tt.header, signedAt.Add(tt.after))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}
