package express

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAClientMayLeaveAtAnyTime(t *testing.T) {
	t.Parallel()
	r := start(t, func(w http.ResponseWriter, _, body []byte) {
		if string(body) == "half" {
			t.Error("half a request was served")
		}
		_, _ = w.Write(body)
	}, Options{})
	idle := r.dial(t)
	idle.send(plain("a"))
	idle.want(200, "", "a")
	_ = idle.Close()
	half := r.dial(t)
	half.send(strings.TrimSuffix(plain("half"), "f"))
	_ = half.Conn.(*net.TCPConn).CloseWrite()
	half.want(400, "", "") // as net/http has it
	busy := r.dial(t)
	busy.send(strings.Repeat(plain("a"), 1000))
	_ = busy.Close()
}

func TestAQuietConnectionIsClosed(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{IdleTimeout: 100 * time.Millisecond, HeaderTimeout: time.Minute})
	c := r.dial(t)
	c.send(plain("a"))
	c.want(200, "express", "a")
	c.wantEnd()
}

func TestAnUnusedConnectionIsClosedAsByNetHTTP(t *testing.T) {
	t.Parallel()
	start(t, nil, Options{IdleTimeout: time.Minute, HeaderTimeout: 100 * time.Millisecond}).dial(t).wantEnd()
}

func TestARequestThatStallsIsEnded(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{IdleTimeout: time.Minute, HeaderTimeout: 200 * time.Millisecond})
	c := r.dial(t)
	c.send(plain("a"))
	c.want(200, "express", "a")
	c.send(testLine + "Host: a")
	c.wantEnd()
}

func TestARequestThatTricklesGetsItsTimeOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{IdleTimeout: time.Minute, HeaderTimeout: 200 * time.Millisecond})
	c := r.dial(t)
	begin := time.Now()
	c.send(testLine + "X: ")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		if time.Since(begin) > patience {
			t.Fatal("every byte prolongs the time of a request")
		}
	}
}

func TestABodyThatStallsIsNetHTTPs(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{IdleTimeout: time.Minute, HeaderTimeout: 100 * time.Millisecond})
	c := r.dial(t)
	c.send(strings.TrimSuffix(plain("body"), "y"))
	late := time.NewTimer(500 * time.Millisecond)
	<-late.C
	c.send("y")
	c.want(200, "net/http", "body")
}

// flood sends until the server does not take more, and reads nothing.
func (c *client) flood() error {
	text := strings.Repeat(plain(strings.Repeat("x", 4000)), 16)
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
	}
}

func TestAClientThatNeverReadsIsEnded(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{IdleTimeout: time.Minute, HeaderTimeout: 200 * time.Millisecond})
	deaf, other := r.dial(t), r.dial(t)
	_ = deaf.SetWriteDeadline(time.Now().Add(patience))
	if err := deaf.flood(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("nobody ended it")
	}
	other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	_ = other.Close()
	third := r.dial(t)
	third.send(plain("a"))
	third.want(200, "express", "a")
}

// A client whose answers do not go is not read any further: net/http would take
// the middle of a request for the beginning of one.
func TestNothingIsReadAfterAFailedAnswer(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	d, err := newDirect(near)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{line: testLine, opts: Options{MaxBody: testMax, IdleTimeout: time.Minute, HeaderTimeout: time.Minute}}
	l.opts.Host = func(string) bool { return true }
	l.opts.Serve = func(http.ResponseWriter, []byte, []byte) { _ = near.CloseWrite() }
	if _, err := io.WriteString(far, plain("a")+"GET /smuggled HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(&conn{direct: d, listener: l}); len(b) > 0 || err == nil {
		t.Errorf("net/http is given %q, %v", b, err)
	}
}

func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return b.(*net.TCPConn), a.(*net.TCPConn)
}

func TestCloseEndsIdleConnections(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	c := r.dial(t)
	c.send(plain("a"))
	c.want(200, "express", "a")
	_ = r.server.Close()
	c.wantEnd()
}

func TestShutdownEndsIdleConnections(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	c := r.dial(t)
	c.send(plain("a"))
	c.want(200, "express", "a")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil { // after the five seconds of a new connection
		t.Error(err)
	}
	c.wantEnd()
}

func TestCloseWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	serving, release := make(chan struct{}), make(chan struct{})
	r := start(t, func(w http.ResponseWriter, _, body []byte) {
		if string(body) == "late" {
			close(serving)
			<-release
		}
		_, _ = w.Write(body)
	}, Options{})
	c := r.dial(t)
	c.send(plain("soon")) // so that the deadline for writing is not set anew
	c.want(200, "", "soon")
	c.send(plain("late"))
	<-serving
	closed := make(chan struct{})
	go func() { // ends with Close; waited for below
		defer close(closed)
		_ = r.server.Close()
	}()
	later := time.NewTimer(3 * closeTimeout) // Serve may take longer than that
	<-later.C
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(release)
	c.want(200, "", "late")
	c.wantEnd()
	<-closed
}

func TestCloseDoesNotWaitForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := start(t, nil, Options{})
	c := r.dial(t)
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_ = c.flood() // until nothing more is taken
	closed := make(chan struct{})
	go func() { // ends with Close
		defer close(closed)
		_ = r.server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close waits for a client that does not read")
	}
}

func TestAPanicEndsOnlyItsConnection(t *testing.T) {
	t.Parallel()
	r := start(t, func(w http.ResponseWriter, _, body []byte) {
		if string(body) == "bad" {
			panic("bad")
		}
		_, _ = w.Write(body)
	}, Options{})
	good, bad := r.dial(t), r.dial(t)
	bad.send(plain("bad"))
	bad.wantEnd()
	good.send(plain("good"))
	good.want(200, "", "good")
}
