package app_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"net"
	"os"
	"strings"
	"testing"

	"tidegate/internal/selfsigned"
)

// leaf is the certificate that a server shows.
func leaf(t *testing.T, address string) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // it is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].Raw
}

// renew replaces the files by a new pair and gives its certificate.
func renew(t *testing.T, files selfsigned.Files) []byte {
	t.Helper()
	next, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{next.Cert: files.Cert, next.Key: files.Key} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

func TestX23EveryCommandServesARenewedCertificate(t *testing.T) {
	t.Parallel()
	for command, args := range map[string][]string{
		"serve": nil, "gateway": nil, "backend": {"--mode", "development", "--gateway-url", "http://127.0.0.1:9"},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			files, err := selfsigned.Write(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, command, append([]string{"--tls-cert", files.Cert, "--tls-key", files.Key}, args...)...)
			address := strings.TrimPrefix(p.Public, "https://")
			old := leaf(t, address)
			want := renew(t, files)
			if bytes.Equal(old, want) {
				t.Fatal("not renewed")
			}
			eventually(t, "the renewed certificate is served", func() bool { return bytes.Equal(leaf(t, address), want) })
			if err := os.WriteFile(files.Cert, []byte("broken"), 0o600); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the broken one is refused with a line", func() bool {
				return strings.Contains(p.log.String(), "new certificate refused")
			})
			if !bytes.Equal(leaf(t, address), want) {
				t.Error("another certificate is shown")
			}
		})
	}
}

func TestX23StorageServesARenewedCertificate(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	address := unused(t)
	start(t, "gateway", "--data", t.TempDir(), "--nats-listen", address, "--nats-token", "long-enough-to-be-one",
		"--nats-cert", files.Cert, "--nats-key", files.Key)
	want := renew(t, files)
	eventually(t, "the renewed certificate is served", func() bool { return bytes.Equal(natsLeaf(t, address), want) })
}

// natsLeaf is the certificate that a NATS server shows: it says hello first.
func natsLeaf(t *testing.T, address string) []byte {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	hello := make([]byte, 1)
	for hello[0] != '\n' {
		if _, err := c.Read(hello); err != nil {
			t.Fatal(err)
		}
	}
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // it is looked at
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure.ConnectionState().PeerCertificates[0].Raw
}
