package pipenet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/pipenet"
)

func TestAServerAndAClientInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			_, _ = fmt.Fprint(w, r.Host, r.RemoteAddr)
		})}
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
		transport := &http.Transport{DialContext: l.DialContext}
		c := &http.Client{Transport: transport}
		start := time.Now()
		var asking sync.WaitGroup
		for range 10 {
			asking.Go(func() {
				response, err := c.Get("http://some.host/")
				if err != nil {
					t.Error(err)
					return
				}
				if got := body(t, response); got != "some.hostpipe" {
					t.Errorf("got %q", got)
				}
			})
		}
		asking.Wait()
		if got := time.Since(start); got != time.Hour {
			t.Errorf("10 requests took %v, want the hour of one", got)
		}
		_ = server.Close()
		transport.CloseIdleConnections()
		serving.Wait()
	})
}

func TestAClosedListener(t *testing.T) {
	t.Parallel()
	l := pipenet.Listen()
	accepted := make(chan error)
	go func() { // ends with Close, awaited below
		_, err := l.Accept()
		accepted <- err
	}()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept that waited: %v, want net.ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
	_, err := l.DialContext(t.Context(), "tcp", "host:80")
	if opError, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, net.ErrClosed) || opError.Op != "dial" {
		t.Errorf("DialContext: %v, want a *net.OpError of net.ErrClosed", err)
	}
	if a := l.Addr(); a.Network() != "pipe" || a.String() != "pipe" {
		t.Errorf("Addr = %v", a)
	}
}

func TestConnectionsOutliveTheirListener(t *testing.T) {
	t.Parallel()
	l := pipenet.Listen()
	accepted := make(chan net.Conn)
	go func() { // ends with the dial
		c, _ := l.Accept()
		accepted <- c
	}()
	dialled, err := l.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	server := <-accepted
	_ = l.Close()
	go func() { // ends with the read
		_, _ = io.WriteString(server, "still here")
		_ = server.Close()
	}()
	if got, err := io.ReadAll(dialled); string(got) != "still here" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_ = dialled.Close()
}

func TestADialNobodyAcceptsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("had enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		start := time.Now()
		if _, err := pipenet.Listen().DialContext(ctx, "", ""); !errors.Is(err, cause) || time.Since(start) != time.Second {
			t.Errorf("DialContext: %v after %v, want the context's cause", err, time.Since(start))
		}
	})
}
