package peer_test

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzForwarded has a client send what it likes and its proxy append the truth:
// nothing that the client sends may change who it is taken for.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "1.1.1.1", `for="`, `for="1.1.1.1`, `for=1.1.1.1;host="a\"`, `\`, ",", ";", `"\"`, "10.0.0.3", `for="[::1]:80"`, "unknown"} {
		f.Add(s, uint32(0xcb007101))
	}
	r := rules(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, claimed string, truth uint32) {
		if strings.ContainsAny(claimed, "\r\n\x00") {
			t.Skip("net/http refuses it")
		}
		a := netip.AddrFrom4([4]byte{byte(truth >> 24), byte(truth >> 16), byte(truth >> 8), byte(truth)})
		if a.As4()[0] == 10 || a.IsLoopback() {
			t.Skip("trusted")
		}
		for _, header := range []string{"X-Forwarded-For: " + claimed + ", " + a.String(), "Forwarded: " + claimed + ", for=" + a.String()} {
			got := r.Client(request("10.0.0.1:1", header))
			if got.Addr != a || !got.Forwarded || got.Local {
				t.Errorf("%q is taken for %v, want %v", header, got.Addr, a)
			}
		}
		// Whatever it is alone, it is an address or the proxy's.
		for _, header := range []string{"X-Forwarded-For: " + claimed, "Forwarded: " + claimed} {
			if got := r.Client(request("10.0.0.1:1", header)); !got.Addr.IsValid() || got.Local || got.Addr.Zone() != "" || got.Addr.Is4In6() {
				t.Errorf("%q gives %+v", header, got)
			}
		}
	})
}
