package certs_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/certs"
	"tidegate/internal/selfsigned"
)

// write makes a certificate in a folder and gives its files.
func write(t *testing.T, dir string) selfsigned.Files {
	t.Helper()
	files, err := selfsigned.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// put replaces the contents of a file.
func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shown is whether the pair is the one of a PEM file.
func shown(t *testing.T, p *certs.Pair, text []byte) bool {
	t.Helper()
	block, _ := pem.Decode(text)
	cert, err := p.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := p.GetClientCertificate(nil)
	if err != nil || client != cert {
		t.Errorf("the client's certificate is another: %v", err)
	}
	return bytes.Equal(cert.Certificate[0], block.Bytes)
}

// watched is a watched pair in a bubble.
type watched struct {
	files  selfsigned.Files
	pair   *certs.Pair
	log    bytes.Buffer
	failed int
	stop   func()
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{files: write(t, t.TempDir())}
	var err error
	if w.pair, err = certs.LoadPair("--tls-cert", w.files.Cert, w.files.Key); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		certs.Watch(ctx, slog.New(slog.NewTextHandler(&w.log, nil)), func() { w.failed++ }, w.pair)
	})
	w.stop = func() { cancel(); running.Wait() }
	return w
}

// later lets the watcher look a few times.
func later() {
	time.Sleep(16 * time.Second)
	synctest.Wait()
}

func TestX23RenewedCertificateIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		later()
		next := write(t, t.TempDir())
		put(t, w.files.Cert, get(t, next.Cert))
		later() // the key is still the old one
		if shown(t, w.pair, get(t, next.Cert)) || w.failed != 1 {
			t.Errorf("certificate without its key: in use or not reported (%d times)", w.failed)
		}
		put(t, w.files.Key, get(t, next.Key))
		later()
		if !shown(t, w.pair, get(t, next.Cert)) {
			t.Error("the renewed certificate is not served")
		}
		w.stop()
		if log := w.log.String(); strings.Count(log, "certificate renewed") != 1 || strings.Count(log, "refused") != 1 {
			t.Errorf("the log is %s, want one refusal and one renewal", log)
		}
	})
}

// A key that follows its certificate within some seconds is no reason to complain.
func TestX23FilesNeedNotBeReplacedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		next := write(t, t.TempDir())
		time.Sleep(4 * time.Second)
		put(t, w.files.Key, get(t, next.Key))
		time.Sleep(2 * time.Second) // it looks in between
		put(t, w.files.Cert, get(t, next.Cert))
		later()
		w.stop()
		if !shown(t, w.pair, get(t, next.Cert)) || strings.Contains(w.log.String(), "refused") {
			t.Errorf("not renewed in silence: %s", &w.log)
		}
	})
}

func TestX23BrokenFilesAreRefusedOnceAndTheOldOnesStay(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, f selfsigned.Files){
		"no PEM":     func(t *testing.T, f selfsigned.Files) { put(t, f.Cert, []byte("x")) },
		"empty":      func(t *testing.T, f selfsigned.Files) { put(t, f.Cert, nil) },
		"empty key":  func(t *testing.T, f selfsigned.Files) { put(t, f.Key, nil) },
		"cut":        func(t *testing.T, f selfsigned.Files) { put(t, f.Cert, get(t, f.Cert)[:100]) },
		"gone":       func(t *testing.T, f selfsigned.Files) { _ = os.Remove(f.Key) },
		"too large":  func(t *testing.T, f selfsigned.Files) { put(t, f.Cert, bytes.Repeat(get(t, f.Cert), 4000)) },
		"other key":  func(t *testing.T, f selfsigned.Files) { put(t, f.Key, get(t, write(t, t.TempDir()).Key)) },
		"a folder":   func(t *testing.T, f selfsigned.Files) { _ = os.Remove(f.Cert); _ = os.Mkdir(f.Cert, 0o700) },
		"no private": func(t *testing.T, f selfsigned.Files) { put(t, f.Key, get(t, f.Cert)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(t)
				old := get(t, w.files.Cert)
				spoil(t, w.files)
				if err := w.pair.Reload(); err == nil || !strings.HasPrefix(err.Error(), "--tls-cert: ") {
					t.Errorf("Reload() = %v, want an error that names the setting", err)
				}
				later()
				if !shown(t, w.pair, old) || w.failed != 0 {
					t.Errorf("the old certificate is gone, or reported again (%d times)", w.failed)
				}
				w.stop()
			})
		})
	}
}

func TestX23RenewalByALinkIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first, second, link := filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "live")
		for _, d := range []string{first, second} {
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, d)
		}
		if err := os.Symlink(first, link); err != nil {
			t.Fatal(err)
		}
		pair, err := certs.LoadPair("x", filepath.Join(link, "cert.pem"), filepath.Join(link, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { certs.Watch(ctx, slog.New(slog.DiscardHandler), nil, pair) })
		if err := os.Symlink(second, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
		later()
		cancel()
		running.Wait()
		if !shown(t, pair, get(t, filepath.Join(second, "cert.pem"))) {
			t.Error("the certificate behind the new link is not served")
		}
	})
}

func TestPoolIsReadAnew(t *testing.T) {
	t.Parallel()
	first, second := write(t, t.TempDir()), write(t, t.TempDir())
	pool, err := certs.LoadPool("--nats-ca", first.Cert)
	if err != nil {
		t.Fatal(err)
	}
	trusts := func(path string) bool {
		block, _ := pem.Decode(get(t, path))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Verify(x509.VerifyOptions{Roots: pool.Current()})
		return err == nil
	}
	if !trusts(first.Cert) || trusts(second.Cert) {
		t.Fatal("trusts the wrong one")
	}
	both := append(get(t, first.Cert), get(t, second.Cert)...)
	put(t, first.Cert, both)
	if err := pool.Reload(); err != nil || !trusts(second.Cert) {
		t.Errorf("Reload() = %v, and it does not trust both", err)
	}
	put(t, first.Cert, get(t, first.Key))
	if err := pool.Reload(); err == nil || !trusts(second.Cert) {
		t.Errorf("Reload() of a key = %v, want an error, and what there was", err)
	}
	if pool.NotAfter().Before(time.Now()) {
		t.Errorf("NotAfter() = %v", pool.NotAfter())
	}
}
