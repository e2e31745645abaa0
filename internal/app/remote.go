package app

import (
	"fmt"
	"net/http"
	"net/url"

	"tidegate/client"
	"tidegate/internal/certs"
	"tidegate/internal/outbound"
	"tidegate/internal/socket"
	"tidegate/internal/version"
)

// remote are the options for a gateway in another process.
func (p *program) remote() client.Options {
	target, _ := socket.ParseTarget(p.cfg.GatewayURL) // config has checked it
	return client.Options{
		URL: target.URL, SecretFunc: p.guards.secrets.First, UserAgent: version.UserAgent(),
		Transport: outbound.New(outbound.Options{Most: p.files.Callbacks, Socket: target.Path, Proxy: proxyOf(target)}),
	}
}

// proxyOf returns the proxy of the environment; a Unix socket has none.
func proxyOf(target socket.Target) func(*http.Request) (*url.URL, error) {
	if target.Path != "" {
		return nil
	}
	return http.ProxyFromEnvironment
}

// toBackend returns where callbacks go, and the transport to a backend in another process.
func (p *program) toBackend() (callbackURL string, transport http.RoundTripper, err error) {
	c := p.cfg
	target, err := socket.ParseTarget(c.CallbackURL)
	if err != nil {
		return "", nil, fmt.Errorf("--callback-url: %w", err)
	}
	opts := outbound.Options{Conns: c.CallbackConcurrency, Most: p.files.Callbacks, MaxAge: c.CallbackConnectionAge, Socket: target.Path}
	if c.CallbackCA != "" {
		if opts.CA, err = certs.LoadPool("--callback-ca", c.CallbackCA); err != nil {
			return "", nil, err
		}
		p.certificates = append(p.certificates, opts.CA)
	}
	if c.CallbackCert != "" {
		if opts.Cert, err = certs.LoadPair("--callback-cert", c.CallbackCert, c.CallbackKey); err != nil {
			return "", nil, err
		}
		p.certificates = append(p.certificates, opts.Cert)
	}
	return target.URL, outbound.New(opts), nil
}
