package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"tidegate/internal/certs"
	"tidegate/internal/config"
	"tidegate/internal/express"
	"tidegate/internal/gateway"
	"tidegate/internal/limit"
	"tidegate/internal/socket"
	"tidegate/internal/stream"
)

// server is a listener and the HTTP server on it.
type server struct {
	name     string
	listener net.Listener
	http     *http.Server
	tls      bool
}

// Bounds of every listener. There is no WriteTimeout: streams and package limit bound each write.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// newServer binds an address. Set a handler before you call serve.
func newServer(name, address string, mode fs.FileMode, log *slog.Logger) (*server, error) {
	listener, err := socket.Listen(address, mode)
	if err != nil {
		return nil, bindError(name, address, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &server{name: name, listener: listener, http: &http.Server{
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second,
			// Bounds on what a client can send before a handler reads it.
			MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: 64 << 10, MaxReadFrameSize: 64 << 10,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	return s, nil
}

// openListeners binds the listeners of the command, and reads the certificate.
func (p *program) openListeners(context.Context) (err error) {
	if p.public, err = newServer("public", p.cfg.Listen, p.cfg.SocketMode, p.log); err != nil {
		return err
	}
	if p.cfg.TLSCert != "" {
		pair, err := certs.LoadPair("--tls-cert", p.cfg.TLSCert, p.cfg.TLSKey)
		if err != nil {
			return err
		}
		p.public.useTLS(pair)
		p.certificates = append(p.certificates, pair)
	}
	if p.cfg.InternalListen != config.Shared {
		p.internal, err = newServer("internal", p.cfg.InternalListen, p.cfg.SocketMode, p.log)
	}
	return err
}

// bound counts the server's connections and bounds its requests. Call it last: it wraps the listener
// and the handler.
func (s *server) bound(limits *limit.Limits, pool limit.PoolOptions, maxHeader int64, streams func(*http.Request) bool) {
	p := limits.Listen(s.listener, pool)
	s.listener = p
	s.http.Handler = p.Handler(s.http.Handler, limit.HandlerOptions{Streams: streams, MaxHeader: int(maxHeader)})
	s.http.MaxHeaderBytes = int(maxHeader)
	s.http.ConnState = p.Track
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return p.ConnContext(stream.ConnContext(ctx, c), c)
	}
	s.http.RegisterOnShutdown(p.CloseUnused)
}

// express answers plain sends to the gateway before net/http parses them.
func (s *server) express(g *gateway.Gateway, maxBody int64) {
	if tcp, ok := s.listener.(*net.TCPListener); ok {
		s.listener = express.Listen(tcp, express.Options{
			Target: "/internal/send", MaxBody: maxBody, Serve: g.Express, Host: g.ExpressHost,
			IdleTimeout: idleTimeout, HeaderTimeout: headerTimeout,
		})
	}
}

// bindError names the setting to change.
func bindError(name, address string, err error) error {
	flag := "--listen"
	if name == "internal" {
		flag = "--internal-listen"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another program; stop it or choose another address with %s", name, address, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission to listen on %s; choose a port above 1023, or a folder that may be written to, with %s", name, address, flag)
	}
	return fmt.Errorf("%s: listen on %s (%s): %w", name, address, flag, err)
}

// useTLS makes the server speak TLS. Each handshake uses the certificate that is current then.
func (s *server) useTLS(pair *certs.Pair) {
	s.http.TLSConfig = &tls.Config{GetCertificate: pair.GetCertificate, MinVersion: tls.VersionTLS12}
	s.tls = true
}

// url is the URL of the server on this machine.
func (s *server) url() string {
	if text := socket.Text(s.listener.Addr()); text != "" {
		return text
	}
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(addr.Port)))
}

// serve answers requests until close. It returns nil then, and an error if it ends before.
func (s *server) serve() error {
	var err error
	if s.tls {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s listener: %w", s.name, err)
}

// close stops accepting at once, waits for requests in flight until ctx ends, and then cuts them.
func (s *server) close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
}

// closing starts close in the background; wait returns when it has ended.
func (s *server) closing(ctx context.Context) (wait func()) {
	var done sync.WaitGroup
	done.Go(func() { s.close(ctx) })
	return done.Wait
}
