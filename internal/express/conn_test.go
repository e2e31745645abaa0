package express

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rig is a server that says in a header who answered.
type rig struct {
	addr   string
	server *http.Server
}

// start serves until the test ends. serve may be nil, for reply.
func start(t testing.TB, serve func(w http.ResponseWriter, authorization, body []byte), opts Options) *rig {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Target, opts.MaxBody, opts.Serve = testTarget, testMax, serve
	if opts.Host == nil {
		opts.Host = func(string) bool { return true }
	}
	if serve == nil {
		opts.Serve = func(w http.ResponseWriter, authorization, body []byte) {
			reply(w, "express", string(authorization), body)
		}
	}
	opts.IdleTimeout = max(opts.IdleTimeout, time.Millisecond)
	if opts.HeaderTimeout == 0 {
		opts.IdleTimeout, opts.HeaderTimeout = time.Minute, time.Minute
	}
	r := &rig{addr: l.Addr().String()}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	r.server = &http.Server{
		Protocols: protocols, ReadHeaderTimeout: opts.HeaderTimeout, IdleTimeout: opts.IdleTimeout, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body := io.Reader(req.Body)
			if req.Header.Get("Content-Encoding") == "gzip" {
				body, _ = gzip.NewReader(body)
			}
			text, err := io.ReadAll(body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			reply(w, "net/http", req.Header.Get("Authorization"), text)
		}),
	}
	var served sync.WaitGroup
	served.Go(func() { _ = r.server.Serve(Listen(l.(*net.TCPListener), opts)) })
	t.Cleanup(func() {
		_ = r.server.Close()
		served.Wait()
	})
	return r
}

// reply echoes a body; one that begins with "!" is an error.
func reply(w http.ResponseWriter, by, authorization string, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Authorized", authorization)
	w.Header().Set("By", by)
	if bytes.HasPrefix(body, []byte("!")) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(body)
}

// client is one connection.
type client struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

// patience is how long a test waits for what must come.
const patience = time.Minute

func (r *rig) dial(t testing.TB) *client {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// want reads a response.
func (c *client) want(status int, by, body string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || resp.Header.Get("By") != by || string(got) != body {
		c.t.Fatalf("answer %d %.60q by %q (%v), want %d %.60q by %s", resp.StatusCode, got, resp.Header.Get("By"), err, status, body, by)
	}
	return resp
}

// wantEnd reads the end of the connection, however it comes.
func (c *client) wantEnd() {
	c.t.Helper()
	b, err := io.ReadAll(c.in)
	if timeout, ok := err.(net.Error); len(b) > 0 || ok && timeout.Timeout() {
		c.t.Fatalf("read %q, %v; want the end of the connection", b, err)
	}
}

func TestAPlainRequestMayComeInPieces(t *testing.T) {
	t.Parallel()
	text := plain(`{"a":1}`, "Authorization: x")
	r := start(t, nil, Options{})
	c := r.dial(t)
	for n := 1; n < len(text); n++ {
		c.send(text[:n])
		c.send(text[n:])
		c.want(200, "express", `{"a":1}`)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	c := start(t, nil, Options{}).dial(t)
	var all strings.Builder
	for i := range 10 {
		all.WriteString(plain(fmt.Sprint(i)))
	}
	all.WriteString("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + plain("10"))
	c.send(all.String())
	for i := range 10 {
		c.want(200, "express", fmt.Sprint(i))
	}
	c.want(200, "net/http", "")
	c.want(200, "net/http", "10")
}

func TestAConnectionIsKeptAndThenNetHTTPsForGood(t *testing.T) {
	t.Parallel()
	c := start(t, nil, Options{}).dial(t)
	for i := range 1000 {
		c.send(plain(fmt.Sprint(i)))
		c.want(200, "express", fmt.Sprint(i))
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want(200, "net/http", "")
	c.send(plain("again"))
	c.want(200, "net/http", "again")
}

func TestOthersAreNetHTTPs(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "packed")
	_ = z.Close()
	large := strings.Repeat("x", 100_000)
	r := start(t, nil, Options{})
	for name, test := range map[string]struct{ text, body string }{
		"large":   {plain(large), large},
		"chunked": {strings.Replace(plain("", "Transfer-Encoding: chunked"), "Content-Length: 0\r\n", "", 1) + "2\r\nab\r\n0\r\n\r\n", "ab"},
		"gzip":    {plain(packed.String(), "Content-Encoding: gzip"), "packed"},
	} {
		c := r.dial(t)
		c.send(plain("first"))
		c.want(200, "express", "first")
		c.send(test.text)
		t.Log(name)
		c.want(200, "net/http", test.body)
	}
	c := r.dial(t)
	c.send(strings.TrimSuffix(plain("ab", "Expect: 100-continue"), "ab"))
	if line, _ := c.in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("answer %q to Expect: 100-continue", line)
	}
	_, _ = c.in.ReadString('\n')
	c.send("ab")
	c.want(200, "net/http", "ab")
}

func TestEmptyLinesAfterARequestAreForgiven(t *testing.T) {
	t.Parallel()
	c := start(t, nil, Options{}).dial(t)
	for range 3 {
		c.send(plain("a") + "\r\n\r\n")
		c.want(200, "express", "a")
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want(200, "net/http", "")
}

func TestHTTP2WithoutTLSIsNetHTTPs(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Post("http://"+r.addr+testTarget, "application/json", strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.ProtoMajor != 2 || string(body) != "two" {
		t.Errorf("answer %q over %s", body, resp.Proto)
	}
}

func TestGosClientIsAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	transport := &http.Transport{MaxConnsPerHost: 8, MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			text := fmt.Sprintf(`{"n":%d}`, i)
			resp, err := (&http.Client{Transport: transport}).Post("http://"+r.addr+testTarget, "application/json", strings.NewReader(text))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); string(body) != text || resp.Header.Get("By") != "express" {
				t.Errorf("answer %q by %s, want %q", body, resp.Header.Get("By"), text)
			}
		})
	}
	wg.Wait()
}

func TestBothAnswerTheSame(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	for status, body := range map[int]string{200: "ok", 503: "!no"} {
		short, long := r.dial(t), r.dial(t)
		short.send(plain(body, "Authorization: Bearer x"))
		long.send(plain(body, "Authorization: Bearer x", "X_Unusual: 1"))
		got, want := short.want(status, "express", body), long.want(status, "net/http", body)
		date, err := http.ParseTime(got.Header.Get("Date"))
		if err != nil || time.Since(date).Abs() > 10*time.Second {
			t.Errorf("Date: %q", got.Header.Get("Date"))
		}
		for _, resp := range []*http.Response{got, want} {
			resp.Header.Del("By")
			resp.Header.Del("Date")
		}
		if diff := cmp.Diff(want.Header, got.Header); diff != "" || got.Status != want.Status || got.ContentLength != want.ContentLength || got.Close != want.Close {
			t.Errorf("%s, want %s; headers -net/http +express:\n%s", got.Status, want.Status, diff)
		}
	}
}

// A Host that may not be taken is net/http's to refuse, also after one that may.
func TestX01OtherHostsAreNetHTTPs(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	r := start(t, nil, Options{Host: func(host string) bool {
		asked.Add(1)
		return host == "tidegate" || host == "other"
	}})
	c := r.dial(t)
	for _, host := range []string{"tidegate", "tidegate", "other", "tidegate"} {
		c.send(strings.Replace(plain("{}"), "tidegate", host, 1))
		c.want(200, "express", "{}")
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times for four requests with two changes, want 3", n)
	}
	for _, host := range []string{"evil.example", "tidegatf", "tidegate.evil.example", "tidegate:80"} {
		c := r.dial(t)
		c.send(plain("{}"))
		c.want(200, "express", "{}")
		c.send(strings.Replace(plain("{}"), "tidegate", host, 1))
		c.want(200, "net/http", "{}")
	}
}
