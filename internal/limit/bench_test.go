package limit_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"tidegate/internal/limit"
	"tidegate/internal/peer"
)

// BenchmarkSmallRequest is what the bounds add to a small POST.
func BenchmarkSmallRequest(b *testing.B) {
	for _, bounded := range []bool{false, true} {
		name := "plain"
		if bounded {
			name = "bounded"
		}
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			limits := limit.New(limit.Options{PerAddress: 10, Inflight: 1 << 28, Peers: peer.New(peer.Options{})})
			server := &http.Server{Handler: swallow}
			if bounded {
				pool := limits.Listen(l, limit.PoolOptions{Seats: 10, Addresses: true})
				server.Handler, server.ConnState, server.ConnContext = pool.Handler(swallow, limit.HandlerOptions{MaxHeader: 1 << 14}), pool.Track, pool.ConnContext
				l = pool
			}
			done := make(chan struct{})
			go func() { _ = server.Serve(l); close(done) }()
			defer func() { _ = server.Close(); <-done }()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for b.Loop() {
				_, _ = io.WriteString(conn, "POST /internal/send HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n0123456789")
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
			}
		})
	}
}
