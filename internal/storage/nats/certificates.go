package nats

import (
	"crypto/tls"
	"crypto/x509"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/certs"
)

// certificates are the pair that this process shows, and the authorities that it trusts.
// Each may be nil.
type certificates struct {
	pair      *certs.Pair
	authority *certs.Pool
}

func (o Options) loadCertificates() (p certificates, err error) {
	if o.TLSCert != "" {
		if p.pair, err = certs.LoadPair("--nats-cert", o.TLSCert, o.TLSKey); err != nil {
			return certificates{}, err
		}
	}
	if o.TLSCA != "" {
		if p.authority, err = certs.LoadPool("--nats-ca", o.TLSCA); err != nil {
			return certificates{}, err
		}
	}
	return p, nil
}

// Certificates are the files that the engine's certificates come from, for reading them
// again when they change.
func (e *Engine) Certificates() (sources []certs.Source) {
	if e.certificates.pair != nil {
		sources = append(sources, e.certificates.pair)
	}
	if e.certificates.authority != nil {
		sources = append(sources, e.certificates.authority)
	}
	return sources
}

// clientOptions are for a connection to an external server. Each new connection uses the
// certificates of that moment.
func (p certificates) clientOptions() natsgo.Option {
	return func(o *natsgo.Options) error {
		if p.pair != nil {
			o.Secure = true
			o.TLSCertCB = func() (tls.Certificate, error) { return *p.pair.Current(), nil }
		}
		if p.authority != nil {
			o.Secure = true
			o.RootCAsCB = func() (*x509.CertPool, error) { return p.authority.Current(), nil }
		}
		return nil
	}
}

// serverConfig is for the server in this process; nil without a certificate. Each
// handshake uses the certificates of that moment.
func (p certificates) serverConfig() *tls.Config {
	if p.pair == nil {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.pair.GetCertificate}
	if p.authority == nil {
		return config
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, p.authority.Current()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := config.Clone()
		now.GetConfigForClient, now.ClientCAs = nil, p.authority.Current()
		return now, nil
	}
	return config
}
