package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/selfsigned"
)

// certificate is one for 127.0.0.1, and a third file that has both of it.
type certificate struct {
	selfsigned.Files
	both string
	pool *x509.CertPool
}

func newCertificate(t *testing.T) certificate {
	t.Helper()
	dir := t.TempDir()
	files, err := selfsigned.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := readFile(t, files.Cert), readFile(t, files.Key)
	c := certificate{Files: files, both: filepath.Join(dir, "both.pem"), pool: x509.NewCertPool()}
	if err := os.WriteFile(c.both, []byte(cert+key), 0o600); err != nil {
		t.Fatal(err)
	}
	c.pool.AppendCertsFromPEM([]byte(cert))
	return c
}

// recipe is a file of deploy/proxies whose clients come back ten times as fast.
func recipe(t *testing.T, name string) string {
	t.Helper()
	return changed(t, readFile(t, "../../deploy/proxies/"+name), "retry: 3000", "retry: 0300")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// proxy is a proxy of the world in front of Tidegate.
type proxy struct {
	name string
	// recipe is its configuration in deploy/proxies, as a server at listen in
	// front of upstream; plain has as few settings as it runs with, without TLS.
	recipe, plain func(t *testing.T, dir, listen, upstream string, c certificate) (args []string)
}

// changed is a text in which each old one was found and replaced.
func changed(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the configuration lacks %q", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func put(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var proxies = []proxy{
	{"nginx", func(t *testing.T, dir, listen, upstream string, c certificate) []string {
		return nginx(t, dir, changed(t, recipe(t, "nginx.conf"), "127.0.0.1:8080", upstream, "listen 443 ", "listen "+listen+" ",
			"/etc/ssl/example.org.pem", c.Cert, "/etc/ssl/example.org.key", c.Key))
	}, func(t *testing.T, dir, listen, upstream string, _ certificate) []string {
		return nginx(t, dir, "server { listen "+listen+"; location / { proxy_pass http://"+upstream+"; } }")
	}},
	{"haproxy", func(t *testing.T, dir, listen, upstream string, c certificate) []string {
		put(t, dir, "again.http", recipe(t, "again.http"))
		return []string{"-db", "-f", put(t, dir, "haproxy.cfg", changed(t, recipe(t, "haproxy.cfg"), "127.0.0.1:8080", upstream, "bind :443 ", "bind "+listen+" ",
			"/etc/haproxy/example.org.pem", c.both, "/etc/haproxy/again.http", filepath.Join(dir, "again.http"), "maxconn 100000", "maxconn 100"))}
	}, func(t *testing.T, dir, listen, upstream string, _ certificate) []string {
		return []string{"-db", "-f", put(t, dir, "haproxy.cfg", "global\n maxconn 100\ndefaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n"+
			"listen public\n bind "+listen+"\n server tidegate "+upstream+"\n")}
	}},
	{"caddy", func(t *testing.T, dir, listen, upstream string, c certificate) []string {
		return caddy(t, dir, changed(t, recipe(t, "Caddyfile"), "127.0.0.1:8080", upstream,
			"example.org {\n", ":"+listen[strings.LastIndexByte(listen, ':')+1:]+" {\n\tbind 127.0.0.1\n\ttls "+c.Cert+" "+c.Key+"\n"))
	}, func(t *testing.T, dir, listen, upstream string, _ certificate) []string {
		return caddy(t, dir, "http://"+listen+" {\n\tbind 127.0.0.1\n\treverse_proxy "+upstream+"\n}\n")
	}},
}

// nginx is a server of its own around one site.
func nginx(t *testing.T, dir, site string) []string {
	t.Helper()
	return []string{"-p", dir, "-c", put(t, dir, "nginx.conf", "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents { worker_connections 512; }\n"+
		"http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"+site+"\n}\n"), "-e", "stderr"}
}

func caddy(t *testing.T, dir, site string) []string {
	t.Helper()
	return []string{"run", "--adapter", "caddyfile", "--config", put(t, dir, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+site)}
}

// run starts the proxy until the test ends, and waits until it listens.
func (p proxy) run(t *testing.T, listen string, args []string) {
	t.Helper()
	path, err := exec.LookPath(p.name)
	if err != nil {
		path = "/usr/sbin/" + p.name
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir, "XDG_DATA_HOME=" + cmd.Dir, "XDG_CONFIG_HOME=" + cmd.Dir}
	said := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatalf("the tests of proxies need %s: run ./test, which installs it (%v)", p.name, err)
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }() // ends with the process
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-gone
		}
		if t.Failed() {
			t.Logf("%s said: %s", p.name, tail(said.String()))
		}
	})
	until(t, p.name+" listens", func() bool {
		select {
		case <-gone:
			t.Fatalf("%s has ended: %s", p.name, said.String())
		default:
		}
		c, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// lockedBuffer keeps what a process says.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// through is a client of a proxy that speaks one version of HTTP.
func (c certificate) through(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: c.pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
