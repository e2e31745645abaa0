package sse_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tidegate/sse"
)

// TestX47AnIDWithControlCharacters does not end a stream: what no header can
// carry goes into the query.
func TestX47AnIDWithControlCharacters(t *testing.T) {
	t.Parallel()
	server, url := serve(t, stream("id: a\x01b\ndata: 1\n\n"), stream("id: \x7f&=\x1b[0m\ndata: 2\n\n"), stream("id: plain\ndata: 3\n\n"))
	client := sse.NewClient(sse.ClientOptions{URL: url + "/x?y=%20z&lastEventId=old&w", LastEventID: "\x02", Retry: time.Millisecond})
	if _, err := collect(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/x?y=%20z&w&lastEventId=%02 ", "/x?y=%20z&w&lastEventId=a%01b ", "/x?y=%20z&w&lastEventId=%7F%26%3D%1B%5B0m ", "/x?y=%20z&lastEventId=old&w plain",
	} {
		r := <-server.requests
		if got := r.RequestURI + " " + r.Header.Get("Last-Event-ID"); got != want {
			t.Errorf("request %q, want %q", got, want)
		}
	}
}

// TestX47WhatIsTooLargeIsDropped and the stream goes on, however it is cut.
func TestX47WhatIsTooLargeIsDropped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, end := range []string{"\n", "\r", "\r\n"} {
		text := strings.ReplaceAll("id: 1\ndata: a\n\n"+
			"id: 2\ndata: "+long+"\ndata: more\n\n"+ // a line
			"id: 3\ndata: "+long[:90]+"\ndata: "+long[:90]+"\n\n"+ // an event
			"event: "+long+"\ndata: b\n\n"+
			"data: c\n: "+long+"\n"+long+"\n"+long[:20]+": x"+long+"\n\n"+ // what means nothing
			"retry: 5"+long+"\ndata: d\n\n"+
			"id: "+long+"\ndata: e\n\n"+
			"id: 4\ndata: f\n\n", "\n", end)
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text))} {
			var dropped, got []string
			d := sse.NewDecoder(r, sse.DecoderOptions{MaxLine: 100, MaxEvent: 150, OnTooLarge: func(err error) {
				switch {
				case errors.Is(err, sse.ErrLineTooLong):
					dropped = append(dropped, "line")
				case errors.Is(err, sse.ErrEventTooLarge):
					dropped = append(dropped, "event")
				default:
					dropped = append(dropped, err.Error())
				}
			}})
			for ev, err := range d.Events() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ev.ID+ev.Data)
			}
			if fmt.Sprint(got) != "[1a 3c 3d 4f]" || fmt.Sprint(dropped) != "[line event line line]" {
				t.Errorf("%q, %s: events %q, dropped %q", end, name, got, dropped)
			}
		}
	}
}

// TestX47AClientGoesOnBehindWhatIsTooLarge, on the same stream.
func TestX47AClientGoesOnBehindWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	server, url := serve(t, stream("id: 1\ndata: "+strings.Repeat("x", 5000)+"\n\nid: 2\ndata: b\n\n"))
	dropped := 0
	client := sse.NewClient(sse.ClientOptions{URL: url, MaxLine: 100, OnTooLarge: func(error) { dropped++ }, Retry: time.Millisecond})
	events, err := collect(t.Context(), client)
	if err != nil || events != "2b" || dropped != 1 || len(server.requests) != 2 {
		t.Errorf("events %q, %v, dropped %d, asked %d times", events, err, dropped, len(server.requests))
	}
}

// TestX47ALineWithoutEndIsNotHeld.
func TestX47ALineWithoutEndIsNotHeld(t *testing.T) {
	const total = 256 << 20
	n := 0
	d := sse.NewDecoder(io.MultiReader(strings.NewReader("data: "), io.LimitReader(xs{}, total), strings.NewReader("\n\ndata: after\n\n")),
		sse.DecoderOptions{MaxLine: 64 << 10, OnTooLarge: func(error) { n++ }})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for ev, err := range d.Events() {
		if err != nil || ev.Data != "after" {
			t.Errorf("%.20q, %v", ev.Data, err)
		}
	}
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 4<<20 || n != 1 {
		t.Errorf("%d bytes were allocated for a line of %d, dropped %d", made, total, n)
	}
}

type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestX47AMistypedRetryDoesNotSilenceAClient.
func TestX47AMistypedRetryDoesNotSilenceAClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		retry := answer(200, "retry: 5806800000\n") // 1613 h
		waited, err := waits(t, sse.ClientOptions{}, retry)
		if !about(waited, time.Hour) || err != nil {
			t.Errorf("waited %v, %v, want an hour", waited, err)
		}
		opts := sse.ClientOptions{MaxRetry: time.Minute, RetryStatus: func(int) bool { return true }}
		waited, err = waits(t, opts, retry, fail, answer(503, "", "Retry-After", "7200"))
		if !about(waited, time.Minute, time.Minute, time.Minute) || err != nil {
			t.Errorf("waited %v, %v, want a minute each", waited, err)
		}
	})
}

// TestX47ACertificateThatIsNotTrustedIsFinal, and other things of TLS that do not
// get better.
func TestX47ACertificateThatIsNotTrustedIsFinal(t *testing.T) {
	t.Parallel()
	quiet := log.New(io.Discard, "", 0)
	trusted := httptest.NewUnstartedServer(http.HandlerFunc(stream("")))
	trusted.Config.ErrorLog = quiet
	trusted.StartTLS()
	t.Cleanup(trusted.Close)
	mutual := httptest.NewUnstartedServer(http.HandlerFunc(stream("")))
	mutual.Config.ErrorLog = quiet
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.StartTLS()
	t.Cleanup(mutual.Close)
	_, plain := serve(t)
	wrongName := trusted.Client().Transport.(*http.Transport).Clone()
	wrongName.TLSClientConfig.ServerName = "other.example"
	t.Cleanup(wrongName.CloseIdleConnections)
	for name, tt := range map[string]struct {
		client *http.Client
		url    string
	}{
		"unknown authority":      {nil, trusted.URL},
		"another name":           {&http.Client{Transport: wrongName}, trusted.URL},
		"a client's certificate": {mutual.Client(), mutual.URL},
		"no TLS":                 {nil, strings.Replace(plain, "http:", "https:", 1)},
	} {
		_, err := collect(t.Context(), sse.NewClient(sse.ClientOptions{
			URL: tt.url, HTTPClient: tt.client, Retry: time.Millisecond,
			OnReconnect:   func(err error, _ time.Duration) { t.Errorf("%s: reconnects after %v", name, err) },
			MaxReconnects: 1,
		}))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); name == "unknown authority" && !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
