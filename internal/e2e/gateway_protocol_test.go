package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/internal/selfsigned"
	"tidegate/sse"
)

// protocol is one way to reach the public listener.
type protocol struct {
	name   string
	tls    bool
	http2  bool
	expect string // what the answer's protocol is
}

var protocols = []protocol{
	{"HTTP/1.1", false, false, "HTTP/1.1"},
	{"h2c", false, true, "HTTP/2.0"},
	{"HTTP/1.1 over TLS", true, false, "HTTP/1.1"},
	{"HTTP/2 over TLS", true, true, "HTTP/2.0"},
}

// transport speaks this protocol and no other.
func (p protocol) transport(t *testing.T) *http.Transport {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!p.http2)
	transport.Protocols.SetHTTP2(p.http2 && p.tls)
	transport.Protocols.SetUnencryptedHTTP2(p.http2 && !p.tls)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// gateway starts one that speaks the protocol.
func (p protocol) gateway(t *testing.T, h *hooks, args ...string) *program {
	t.Helper()
	if p.tls {
		files, err := selfsigned.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--tls-cert", files.Cert, "--tls-key", files.Key)
	}
	return h.gateway(args...)
}

// get opens a stream.
func (p protocol) get(t *testing.T, program *program) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, program.public+"/x?a=%2F", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := p.transport(t).RoundTrip(request)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.Proto != p.expect || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s, want %s 200", p.name, response.Proto, response.Status, p.expect)
	}
	return response
}

// TestEveryProtocolCarriesTheSameBytes of events, with the same headers.
func TestEveryProtocolCarriesTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		h := newHooks(t, nil)
		p := protocol.gateway(t, h)
		a := p.api()
		response := protocol.get(t, p)
		connect := h.next("connect")
		if connect.Request.URL != "/x?a=%2F" || connect.Request.Headers["host"] != strings.SplitN(p.public, "//", 2)[1] {
			t.Errorf("%s: the callback has %+v", protocol.name, connect.Request)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Content-Encoding": "",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", protocol.name, name, got, want)
			}
		}
		large := strings.Repeat("y", 300_000)
		a.mustSend(toToken(connect.Token, "1"))
		a.mustSend(fmt.Sprintf(`{"token":%q,"event":{"name":"n","data":"a\r\nb\rc\nd"}}`, connect.Token))
		a.mustSend(toToken(connect.Token, large))
		a.mustSend(fmt.Sprintf(`{"token":%q,"close":true}`, connect.Token))
		body, err := io.ReadAll(response.Body)
		want := "data: 1\n\nevent: n\ndata: a\ndata: b\ndata: c\ndata: d\n\ndata: " + large + "\n\n"
		if string(body) != want || err != nil {
			t.Errorf("%s: stream of %d bytes, %v, want %d bytes and a clean end", protocol.name, len(body), err, len(want))
		}
		h.wantDisconnect(connect.Token, "server_closed", "closed")

		gone := protocol.get(t, p)
		token := h.next("connect").Token
		_ = gone.Body.Close() // leaves: a reset of the one stream on HTTP/2
		h.wantDisconnect(token, "client_closed", "")
		p.stop()
	}
}

// TestF19WriteDeadlinesDoNotEndIdleStreams: one that is left standing resets an
// idle HTTP/2 stream, and a limit on the whole answer ends any.
func TestF19WriteDeadlinesDoNotEndIdleStreams(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		t.Run(protocol.name, func(t *testing.T) {
			t.Parallel()
			h := newHooks(t, nil)
			p := protocol.gateway(t, h, "--write-timeout", "300ms", "--heartbeat", "1s")
			response := protocol.get(t, p)
			token := h.next("connect").Token
			a := p.api()
			linger(1200*time.Millisecond, nil) // longer than the timeout, without and with a write before
			a.mustSend(toToken(token, "1"))
			linger(1200*time.Millisecond, nil)
			a.mustSend(toToken(token, "2"))
			a.mustSend(fmt.Sprintf(`{"token":%q,"close":true}`, token))
			beats := 0
			var data strings.Builder
			for ev, err := range sse.NewDecoder(response.Body, sse.DecoderOptions{OnComment: func(string) { beats++ }}).Events() {
				if err != nil {
					t.Fatalf("an idle stream was ended: %v", err)
				}
				data.WriteString(ev.Data)
			}
			if data.String() != "12" || beats < 2 {
				t.Errorf("events %q and %d heartbeats, want 12 and at least 2", data.String(), beats)
			}
		})
	}
}
