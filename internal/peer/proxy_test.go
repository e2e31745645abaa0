package peer_test

import (
	"io"
	"net"
	"testing"
)

func TestPROXYHeadersAreReadFromTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted, header, remote string
	}{
		{"127.0.0.1/32", "PROXY TCP4 203.0.113.7 192.0.2.1 4000 443\r\n", "203.0.113.7:4000"},
		{"127.0.0.1/32", "PROXY TCP6 2001:db8::7 2001:db8::1 4000 443\r\n", "[2001:db8::7]:4000"},
		{"127.0.0.1/32", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\x0f\xa0\x01\xbb", "203.0.113.7:4000"},
		{"127.0.0.1/32", "PROXY UNKNOWN\r\n", ""},
		{"127.0.0.1/32", "", ""},
		{"10.0.0.0/8", "PROXY TCP4 203.0.113.7 192.0.2.1 4000 443\r\n", ""},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		inner, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(client, c.header+"GET / HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = client.(*net.TCPConn).CloseWrite()
		conn := rules(t, c.trusted).Proxied(inner)
		got, err := io.ReadAll(conn)
		want, remote := "GET / HTTP/1.1\r\n", c.remote
		if c.trusted != "127.0.0.1/32" {
			want = c.header + want
		}
		if remote == "" {
			remote = inner.RemoteAddr().String()
		}
		if err != nil || string(got) != want || conn.RemoteAddr().String() != remote {
			t.Errorf("%q of a peer with %s trusted: %v says %q, %v; want %s, %q", c.header, c.trusted, conn.RemoteAddr(), got, err, remote, want)
		}
		for _, c := range []io.Closer{conn, client, l} {
			_ = c.Close()
		}
	}
}
