package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Pair is a certificate and its private key.
type Pair struct {
	files
	current atomic.Pointer[tls.Certificate]
}

// LoadPair reads the two PEM files. name names the pair in errors.
func LoadPair(name, certFile, keyFile string) (*Pair, error) {
	p := &Pair{files: files{name: name, paths: []string{certFile, keyFile}}}
	p.apply = p.use
	return p, p.Reload()
}

func (p *Pair) use(texts [][]byte, first bool) error {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return err
	}
	if pair.Leaf == nil {
		return errors.New("the certificate cannot be parsed: give a PEM file with an X.509 certificate")
	}
	if now := time.Now(); !first && now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("expired at %s: renew it", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	p.current.Store(&pair)
	return nil
}

// NotAfter implements [Source].
func (p *Pair) NotAfter() time.Time { return p.current.Load().Leaf.NotAfter }

// Current returns the pair in use.
func (p *Pair) Current() *tls.Certificate { return p.current.Load() }

// GetCertificate is for the [tls.Config] of a server.
func (p *Pair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

// GetClientCertificate is for the [tls.Config] of a client.
func (p *Pair) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}

// Pool is a list of certificate authorities.
type Pool struct {
	files
	current atomic.Pointer[authorities]
}

type authorities struct {
	pool     *x509.CertPool
	notAfter time.Time
}

// LoadPool reads a PEM file with one or more certificates. name names it in errors.
func LoadPool(name, path string) (*Pool, error) {
	p := &Pool{files: files{name: name, paths: []string{path}}}
	p.apply = p.use
	return p, p.Reload()
}

func (p *Pool) use(texts [][]byte, _ bool) error {
	next := &authorities{pool: x509.NewCertPool()}
	for rest := texts[0]; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		next.pool.AddCert(cert)
		if next.notAfter.IsZero() || cert.NotAfter.Before(next.notAfter) {
			next.notAfter = cert.NotAfter
		}
	}
	if next.notAfter.IsZero() {
		return fmt.Errorf("no certificate in %s", p.paths[0])
	}
	p.current.Store(next)
	return nil
}

// NotAfter implements [Source].
func (p *Pool) NotAfter() time.Time { return p.current.Load().notAfter }

// Current returns the list in use.
func (p *Pool) Current() *x509.CertPool { return p.current.Load().pool }
