package peer_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"tidegate/internal/peer"
)

// request is one of a peer with headers, each "Name: value".
func request(remote string, headers ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func rules(t testing.TB, trusted ...string) *peer.Rules {
	t.Helper()
	opts := peer.Options{}
	for _, text := range trusted {
		if text == "unix" {
			opts.TrustUnix = true
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		opts.Trusted = append(opts.Trusted, p)
	}
	return peer.New(opts)
}

func TestX14ClientIsTheRightmostHopThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	const far, proxy = "198.51.100.9:4000", "10.0.0.1:4000"
	for _, c := range []struct {
		what    string
		remote  string
		headers []string
		addr    string // "" is invalid
		key     string // "" is not limited
	}{
		{"direct", far, nil, "198.51.100.9", "198.51.100.9"},
		{"loopback", "127.0.0.1:5", nil, "127.0.0.1", ""},
		{"loopback of IPv6", "[::1]:5", nil, "::1", ""},
		{"Unix socket", "@", nil, "", ""},
		{"in process", "in-process", nil, "", ""},
		{"untrusted forwarding", far, []string{"X-Forwarded-For: 203.0.113.1"}, "198.51.100.9", "198.51.100.9"},
		{"untrusted Forwarded", far, []string{"Forwarded: for=203.0.113.1"}, "198.51.100.9", "198.51.100.9"},
		{"loopback forwards", "127.0.0.1:5", []string{"X-Forwarded-For: 203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"Unix socket forwards", "@", []string{"X-Forwarded-For: 203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"forwarded loopback is limited", "127.0.0.1:5", []string{"X-Forwarded-For: 127.0.0.1"}, "127.0.0.1", "127.0.0.1"},
		{"trusted", proxy, []string{"X-Forwarded-For: 203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"what the client claims", proxy, []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"more than one proxy", proxy, []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.1,10.0.0.2 , 10.1.2.3"}, "203.0.113.1", "203.0.113.1"},
		{"more than one line", proxy, []string{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 203.0.113.1, 10.0.0.2"}, "203.0.113.1", "203.0.113.1"},
		{"all trusted", proxy, []string{"X-Forwarded-For: 10.0.0.9, 10.0.0.8"}, "10.0.0.9", "10.0.0.9"},
		{"ports", proxy, []string{"X-Forwarded-For: 203.0.113.1:5555"}, "203.0.113.1", "203.0.113.1"},
		{"IPv6 by /64", proxy, []string{"X-Forwarded-For: 2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"IPv6 in brackets", proxy, []string{"X-Forwarded-For: [2001:db8:1:2::6]:80"}, "2001:db8:1:2::6", "2001:db8:1:2::"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:5", []string{"X-Forwarded-For: ::ffff:203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"a zone", "[fe80::1%eth0]:5", nil, "fe80::1", "fe80::"},
		{"unknown stops at the proxy", proxy, []string{"X-Forwarded-For: 203.0.113.1, unknown"}, "10.0.0.1", "10.0.0.1"},
		{"rubbish stops at the proxy", proxy, []string{"X-Forwarded-For: 203.0.113.1, 300.1.1.1, 10.0.0.2"}, "10.0.0.2", "10.0.0.2"},
		{"empty header", proxy, []string{"X-Forwarded-For: "}, "10.0.0.1", "10.0.0.1"},
		{"Forwarded", proxy, []string{`Forwarded: for=1.1.1.1, For="[2001:db8:1:2::6]:4711";proto=https;by=10.0.0.1`}, "2001:db8:1:2::6", "2001:db8:1:2::"},
		{"Forwarded, commas in quotes", proxy, []string{`Forwarded: for=203.0.113.1;host="a,b;for=1.1.1.1"`}, "203.0.113.1", "203.0.113.1"},
		{"Forwarded, a quote left open by the client", proxy, []string{`Forwarded: for="1.1.1.1, for=203.0.113.1`}, "203.0.113.1", "203.0.113.1"},
		{"Forwarded, two in one element", proxy, []string{`Forwarded: for=1.1.1.1;for=203.0.113.1`}, "10.0.0.1", "10.0.0.1"},
		{"Forwarded, hidden", proxy, []string{`Forwarded: for=_hidden`}, "10.0.0.1", "10.0.0.1"},
		{"Forwarded, without for", proxy, []string{`Forwarded: for=1.1.1.1, proto=https`}, "10.0.0.1", "10.0.0.1"},
		{"both agree", proxy, []string{"Forwarded: for=203.0.113.1", "X-Forwarded-For: 203.0.113.1"}, "203.0.113.1", "203.0.113.1"},
		{"both disagree: one is the client's", proxy, []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 203.0.113.1"}, "10.0.0.1", "10.0.0.1"},
		{"Unix socket, both disagree", "@", []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 203.0.113.1"}, "", "::"},
		{"Unix socket, hidden", "@", []string{"X-Forwarded-For: unknown"}, "", "::"},
		{"two proxies on this machine", "127.0.0.1:5", []string{"X-Forwarded-For: 203.0.113.1, 127.0.0.1"}, "203.0.113.1", "203.0.113.1"},
		{"loopback that a far proxy names", proxy, []string{"X-Forwarded-For: 203.0.113.1, 127.0.0.1"}, "127.0.0.1", "127.0.0.1"},
	} {
		got := rules(t, "10.0.0.0/8").Client(request(c.remote, c.headers...))
		if text(got.Addr) != c.addr || text(got.Key()) != c.key {
			t.Errorf("%s: address %q, counted as %q; want %q, %q", c.what, text(got.Addr), text(got.Key()), c.addr, c.key)
		}
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestIdentityIsForwardedByNamedProxiesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted []string
		remote  string
		want    bool
	}{
		{nil, "127.0.0.1:5", false},
		{nil, "@", false},
		{nil, "10.0.0.1:5", false},
		{[]string{"10.0.0.0/8"}, "10.0.0.1:5", true},
		{[]string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:5", true},
		{[]string{"10.0.0.0/8"}, "11.0.0.1:5", false},
		{[]string{"127.0.0.1/32"}, "127.0.0.1:5", true},
		{[]string{"127.0.0.1/32"}, "@", false},
		{[]string{"unix"}, "@", true},
		{[]string{"unix"}, "", true},
		{[]string{"unix"}, "in-process", false},
		{[]string{"unix"}, "127.0.0.1:5", false},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:5", true},
	} {
		if got := rules(t, c.trusted...).Trusted(request(c.remote)); got != c.want {
			t.Errorf("with %q, %s is trusted: %v, want %v", c.trusted, c.remote, got, c.want)
		}
	}
	var none *peer.Rules
	if none.Trusted(request("10.0.0.1:5")) || none.Client(request("10.0.0.1:5", "Forwarded: for=1.1.1.1")).Addr.String() != "10.0.0.1" {
		t.Error("without rules somebody is trusted")
	}
}

func TestUntrustedForwardingIsLoggedOnceAndNamesTheFlag(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := peer.New(peer.Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	for range 3 {
		r.Client(request("198.51.100.9:4000", "X-Forwarded-For: 203.0.113.1"))
		r.Client(request("127.0.0.1:4000", "X-Forwarded-For: 203.0.113.1")) // that is fine
	}
	if n := strings.Count(out.String(), "--trusted-proxy"); n != 1 {
		t.Errorf("%d lines name --trusted-proxy, want 1:\n%s", n, out.String())
	}
	for i := range 100 { // whoever has many addresses does not fill the log
		r.Client(request(netip.AddrFrom4([4]byte{198, 51, byte(i), 1}).String()+":1", "Forwarded: for=203.0.113.1"))
	}
	if n := strings.Count(out.String(), "--trusted-proxy"); n > 16 {
		t.Errorf("%d lines, want 16 at most", n)
	}
}

func TestDirectClientsCostNoMemory(t *testing.T) {
	r := rules(t, "10.0.0.0/8")
	direct, behind := request("[2001:db8::1]:4000"), request("10.0.0.1:4000", "X-Forwarded-For: 203.0.113.1")
	if n := testing.AllocsPerRun(100, func() { r.Client(direct).Key() }); n > 0 {
		t.Errorf("a direct client costs %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { r.Client(behind).Key() }); n > 6 {
		t.Errorf("a client behind a proxy costs %v allocations, want 6 at most", n)
	}
}
