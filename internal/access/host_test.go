package access_test

import (
	"net/netip"
	"strings"
	"testing"

	"tidegate/internal/access"
)

func TestX01HostNames(t *testing.T) {
	t.Parallel()
	names := access.Names{Allowed: []string{"app.example.org", "*.wild.example"}}
	for host, want := range map[string]bool{
		"": true, "127.0.0.1": true, "127.0.0.1:8081": true, "10.1.2.3": true, "8.8.8.8:1": true, "127.0.0.1.": true,
		"[::1]": true, "[::1]:8081": true, "::1": true, "[fe80::1%25eth0]:80": true, "[fe80::1%eth0]": true, "fe80::1%eth0": true,
		"[::FFFF:127.0.0.1]:1": true,
		"localhost":            true, "LocalHost:80": true, "localhost.": true, "a.localhost": true, "a.b.localhost.:8080": true, "localhost:": true,
		"app.example.org": true, "APP.EXAMPLE.ORG:443": true, "app.example.org.": true,
		"a.wild.example": true, "a.b.Wild.Example:1": true,

		"evil.example": false, "evil.example:8081": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"xlocalhost": false, ".localhost": false, "a..localhost": false, "localhost..": false, "notlocalhost": false,
		"wild.example": false, ".wild.example": false, "xwild.example": false, "app.example.org.evil": false, "xapp.example.org": false,
		"gateway": false, "127.1": false, "2130706433": false, "0x7f000001": false,
		"localhost:80@evil.example": false, "localhost:80:evil.example": false, "evil.example:localhost": false,
		"[::1]evil.example": false, "[::1].evil.example:80": false, "[localhost]": false, "[evil.example]": false, "[127.0.0.1]": false,
		"[::1": false, "::1]": false, "localhost/": false, "localhost evil": false, "local host": false, "localhost\x00": false,
		"evil%2elocalhost": false, "evil.example%.localhost": false, ":80": false, "%eth0": false, "localhost:123456": false,
	} {
		if got := names.Allows(host); got != want {
			t.Errorf("Host %q: allowed is %v, want %v", host, got, want)
		}
	}
}

func TestX01NamesWithoutDotOffLoopback(t *testing.T) {
	t.Parallel()
	names := access.Names{OffLoopback: true}
	for host, want := range map[string]bool{
		"gateway": true, "Gateway.:8080": true, "my_service-1": true, "gateway.svc": false, "evil.example": false, "a b": false, "gate/way": false,
	} {
		if got := names.Allows(host); got != want {
			t.Errorf("Host %q off loopback: allowed is %v, want %v", host, got, want)
		}
	}
}

func TestAllowedHostIsAName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"App.Example.org": "app.example.org", "app.example.org.:8080": "app.example.org", "*.Example.org": "*.example.org", "gateway": "gateway", "10.0.0.1": "10.0.0.1",
		"*": "", "": "", "*.": "", "a.*.example": "", "https://app.example.org": "", "app.example.org/x": "", "bücher.example": "", "**.example": "",
	} {
		got, err := access.AllowedHost(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("AllowedHost(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzHost holds that without settings only addresses and localhost pass.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"", "127.0.0.1:80", "[::1]:80", "localhost.", "evil.example", "a.localhost:1", "[fe80::1%25x]", "x@localhost", "::%"} {
		f.Add(host)
	}
	var names access.Names
	f.Fuzz(func(t *testing.T, host string) {
		if !names.Allows(host) || host == "" {
			return
		}
		bare := strings.ToLower(host)
		if i := strings.LastIndexByte(bare, ':'); i >= 0 && strings.Count(bare, ":") == 1 {
			bare = bare[:i]
		}
		bare = strings.TrimSuffix(bare, ".")
		if bare == "localhost" || strings.HasSuffix(bare, ".localhost") {
			return
		}
		inside := strings.TrimPrefix(host, "[")
		inside, _, _ = strings.Cut(inside, "]")
		inside, _, _ = strings.Cut(inside, "%")
		for _, text := range []string{bare, inside} {
			if _, err := netip.ParseAddr(text); err == nil {
				return
			}
		}
		t.Errorf("Host %q is allowed", host)
	})
}
