package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// FuzzParseCallback holds that no body makes it panic, and that what it takes has all
// that a receiver relies on.
func FuzzParseCallback(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", "{}", `{"action":1}`, `{"action":"connect"}`,
		`{"action":"connect","token":"t","request":{"url":"/a","headers":{"Host":"h","set-cookie":["a","b"]}}}`,
		`{"action":"disconnect","token":"t","request":{"url":"/a"},"reason":"error","detail":"drain","duration_ms":-1,"undelivered":"x"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c, err := ParseCallback([]byte(body))
		if err != nil {
			if e, ok := errors.AsType[*CallbackError](err); !ok || e.Status != 400 || len(e.Message) > maxEchoBytes+100 {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if c.Token == "" || c.Request.URL == "" || c.Request.Headers == nil || (c.Action == Disconnect) != (c.Reason != "") {
			t.Errorf("took %q as %+v", body, c)
		}
	})
}

// FuzzVerify holds that no header makes it panic, and none but the true one
// passes.
func FuzzVerify(f *testing.F) {
	now := time.Unix(1767322445, 0)
	key, signed := "key", Signed{Method: "POST", Target: "/cb", Body: []byte("body")}
	good := wire.Sign([]byte(key), wire.Signed(signed), now)
	for _, header := range []string{good, "", "t=,v1=", "t=1,v1=00", "v1=" + strings.Repeat("0", 64) + ",t=1767322445", good + ",v2=x", "t=99999999999999999999,v1=00"} {
		f.Add(header)
	}
	_, sums, _ := strings.Cut(good, "v1=")
	v1, v2, _ := strings.Cut(sums, ",v2=")
	f.Fuzz(func(t *testing.T, header string) {
		lower := strings.ToLower(header)
		if Verify(key, signed, header, now) == nil && !strings.Contains(lower, v2) && (strings.Contains(lower, "v2=") || !strings.Contains(lower, v1)) {
			t.Errorf("Verify takes %q", header)
		}
	})
}
