package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/pflag"

	"tidegate/internal/outbound"
	"tidegate/internal/socket"
)

// trust has the flags for checking the certificate of a server.
type trust struct {
	ca       string
	insecure bool
}

func (t *trust) set(fs *pflag.FlagSet) {
	fs.StringVar(&t.ca, "ca", "", "PEM `FILE` with more authorities that check the server's certificate, besides the system's")
	fs.BoolVar(&t.insecure, "insecure", false, "accept any certificate; anybody between client and server can then read and change everything")
}

// client makes an HTTP client for the server, without a timeout.
func (t *trust) client(server socket.Target) (*http.Client, error) {
	if server.Path != "" {
		return &http.Client{Transport: outbound.New(outbound.Options{Socket: server.Path})}, nil
	}
	if t.ca == "" && !t.insecure {
		return &http.Client{}, nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: t.insecure}
	if t.ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		text, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, usagef("--ca: %v", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, usagef("--ca: %s has no certificate in PEM", t.ca)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: transport}, nil
}

// explain adds advice to an error of a certificate, and removes the URL, which can hold a secret.
func (t *trust) explain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("%w; give the server's authority with --ca, or --insecure to check nothing", err)
	}
	return err
}
