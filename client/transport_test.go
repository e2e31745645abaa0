package client

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

func TestAGatewayOnAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "internal.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ok","id":"`+r.Host+r.URL.Path+`"}`)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	c, err := New(Options{URL: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	if result, err := c.Send(t.Context(), Message{Topic: "a", Close: true}); err != nil || result.ID != "localhost/internal/send" {
		t.Errorf("Send = %+v, %v", result, err)
	}
	if _, err := New(Options{URL: "unix:" + path, Transport: http.DefaultTransport}); err == nil {
		t.Error("a Unix socket beside a Transport is no error")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig
	for name, config := range map[string]*tls.Config{"trusted": trusting, "not trusted": nil} {
		c, err := New(Options{URL: server.URL, TLS: config, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Send(t.Context(), Message{Token: "t"})
		if _, refused := errors.AsType[*tls.CertificateVerificationError](err); refused != (config == nil) || (err == nil) != (config != nil) {
			t.Errorf("%s: %v", name, err)
		}
		c.CloseIdleConnections()
	}
}

// TestThePathOfAProxyIsKept: the gateway may be mounted below one.
func TestThePathOfAProxyIsKept(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"topic":"`+r.URL.Path+`"}`)
	}))
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL + "/tide/", SecretFunc: func() string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	if topic, err := c.Topic(t.Context(), "a"); err != nil || topic.Topic != "/tide/internal/topics/a" {
		t.Errorf("Topic = %+v, %v", topic, err)
	}
}

// TestAListingThatMissesNodesSaysSo, after all that the others hold.
func TestAListingThatMissesNodesSaysSo(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("after") == "" {
			_, _ = io.WriteString(w, `{"streams":[{"token":"a"}],"next":"1","missing_nodes":["n2"]}`)
			return
		}
		_, _ = io.WriteString(w, `{"streams":[{"token":"b"}],"missing_nodes":["n2","n1"]}`)
	})
	tokens := ""
	var last error
	for s, err := range c.Streams(t.Context(), StreamQuery{}) {
		tokens, last = tokens+s.Token, err
	}
	e, ok := errors.AsType[*IncompleteError](last)
	if !ok || tokens != "ab" || len(e.Nodes) != 2 || e.Nodes[0] != "n1" {
		t.Errorf("%q, then %v", tokens, last)
	}
}
