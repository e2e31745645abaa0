package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/leftover"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

// backend is a node whose readiness can be changed.
type backend struct {
	*httptest.Server
	mu    sync.Mutex
	ready bool // guarded by mu
}

func (b *backend) set(ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func newBackend(t *testing.T, name string) *backend {
	b := &backend{ready: true}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		ready := b.ready
		b.mu.Unlock()
		switch {
		case r.URL.Path == "/readyz" && !ready:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/stream":
			fmt.Fprintf(w, "data: %s\n\n", name)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.Copy(w, r.Body)
			_, _ = io.WriteString(w, name)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// balanced runs the program and gives its address.
func balanced(t *testing.T, args ...string) string {
	t.Helper()
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	var code int
	var stderr strings.Builder
	wait.Go(func() {
		code = run(ctx, append([]string{"--listen", "127.0.0.1:0", "--interval", "10ms"}, args...), in, &stderr)
		_ = in.Close()
	})
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		wait.Wait()
		if code != exitOK {
			t.Errorf("exit code %d: %s", code, stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), "ready: ")
	if !ok {
		t.Fatalf("it said %q, %v", line, err)
	}
	return url
}

// ask does a request and gives what was answered.
func ask(t *testing.T, url, body string) string {
	t.Helper()
	response, err := http.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", string(text))
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// eventually asks until the answer is one of those wanted, all of which must come.
func eventually(t *testing.T, url string, want ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for len(missing) > 0 {
		delete(missing, ask(t, url, "x:"))
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("these answers never came: %v", missing)
		}
	}
}

func TestNodesTakeTurnsAndThoseThatAreNotReadyArePassedOver(t *testing.T) {
	t.Parallel()
	a, b, c := newBackend(t, "a"), newBackend(t, "b"), newBackend(t, "c")
	url := balanced(t, "--route", "/="+a.URL+","+b.URL+"?ready="+b.URL+"/readyz", "--route", "/tasks/="+c.URL)
	eventually(t, url+"/x", "200 x:a", "200 x:b")
	eventually(t, url+"/tasks/1", "200 x:c")
	c.set(false)
	eventually(t, url+"/tasks/1", "502 no node answers: none is ready\n")
	a.set(false)
	eventually(t, url+"/x", "200 x:b")
	for range 5 {
		// a may be ready in the balancer's mind once more, not for ever.
		eventually(t, url+"/x", "200 x:b")
	}
	b.Close()
	a.set(true)
	eventually(t, url+"/x", "200 x:a")
}

func TestStreamsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	a := newBackend(t, "a")
	url := balanced(t, "--route", "/="+a.URL)
	eventually(t, url+"/x", "200 x:a")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || line != "data: a\n" {
		t.Errorf("the stream began with %q, %v", line, err)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--help"}, exitOK, "--route", ""},
		{nil, exitUsage, "", "--route"},
		{[]string{"--hold", "--route", "/=http://127.0.0.1:1"}, exitUsage, "", "--free"},
		{[]string{"--route", "x"}, exitUsage, "", "/api/="},
		{[]string{"--route", "/=ftp://x"}, exitUsage, "", "ftp://x"},
		{[]string{"--free", "1001"}, exitUsage, "", "1000"},
		{[]string{"--route", "/=http://127.0.0.1:1", "x"}, exitUsage, "", `"x"`},
		{[]string{"--interval", "1ms", "--route", "/=http://127.0.0.1:1"}, exitUsage, "", "10ms"},
		{[]string{"--listen", "256.0.0.1:0", "--route", "/=http://127.0.0.1:1"}, exitError, "", "256"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), test.args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%v: code %d, want %d; %q, %q", test.args, code, test.code, stdout.String(), stderr.String())
		}
	}
}

func TestFreePortsAreDifferent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if code := run(t.Context(), []string{"--free", "20"}, &out, io.Discard); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	seen := map[string]bool{}
	for port := range strings.FieldsSeq(out.String()) {
		seen[port] = true
	}
	if len(seen) != 20 {
		t.Errorf("20 ports are %s", out.String())
	}
}

func TestARequestWaitsAMomentForANodeThatIsAboutToBeReady(t *testing.T) {
	t.Parallel()
	a := newBackend(t, "a")
	url := balanced(t, "--route", "/="+a.URL)
	got := ""
	for range 10 { // a busy machine may take longer than a request waits
		a.set(false)
		eventually(t, url+"/x", "502 no node answers: none is ready\n")
		time.AfterFunc(50*time.Millisecond, func() { a.set(true) })
		if got = ask(t, url+"/x", "x:"); got == "200 x:a" {
			return
		}
	}
	t.Errorf("a node became ready, and the answer is %s", got)
}
