package natstest

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// Serve runs a server in this process, with its files in dir, until the test ends or
// stop is called. It listens on loopback at a port, 0 for any, and takes messages of up
// to 2 MiB.
func Serve(t testing.TB, dir string, port int) (s *Server, stop func()) {
	t.Helper()
	return serve(t, &server.Options{Port: port, StoreDir: dir, MaxPayload: 2 << 20})
}

// ServeSmall runs a server that takes messages of up to 64 KiB, and returns its URL.
func ServeSmall(t testing.TB) (url string) {
	t.Helper()
	s, _ := serve(t, &server.Options{StoreDir: t.TempDir(), MaxPayload: 64 << 10})
	return s.URL()
}

// Server is a server in this process.
type Server struct{ s *server.Server }

func serve(t testing.TB, opts *server.Options) (*Server, func()) {
	t.Helper()
	opts.ServerName, opts.Host, opts.NoSigs, opts.NoLog, opts.JetStream = "test", "127.0.0.1", true, true, true
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	stop := sync.OnceFunc(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	t.Cleanup(stop)
	if !s.ReadyForConnections(Patience) {
		t.Fatal("the server is not ready")
	}
	return &Server{s}, stop
}

// URL is where clients connect.
func (s *Server) URL() string { return s.s.ClientURL() }

// Port is the one that it listens at.
func (s *Server) Port(t testing.TB) int {
	t.Helper()
	_, port, err := net.SplitHostPort(s.s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
