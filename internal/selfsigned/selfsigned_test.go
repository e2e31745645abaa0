package selfsigned_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidegate/internal/selfsigned"
)

func TestClientsThatKnowTheCertificateTrustTheServer(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatalf("the two do not belong together: %v", err)
	}
	text, err := os.ReadFile(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", text)
	}
	for _, now := range []time.Time{time.Now(), time.Now().Add(-time.Minute), time.Now().Add(23 * time.Hour)} {
		known := x509.VerifyOptions{DNSName: "127.0.0.1", Roots: pool, CurrentTime: now}
		if _, err := pair.Leaf.Verify(known); err != nil {
			t.Errorf("at %v: %v", now, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "192.0.2.1", Roots: pool}); err == nil {
		t.Error("it counts for another address too")
	}
}

func TestOnlyTheOwnerReadsTheKey(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode %v, want 0600", mode)
	}
}

func TestADirectoryThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	if files, err := selfsigned.Write(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Errorf("Write = %v, want an error", files)
	}
}
