package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBytesText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		-1: "unbounded", 0: "0 B", 999: "999 B", 1000: "0.977 KiB", 1 << 20: "1 MiB", 256 << 20: "256 MiB",
		70_000 << 20: "68.4 GiB", 1 << 62: "4.1e+03 PiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestClusterStatusSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		status     int
		body       string
		code       int
		out, error string
	}{
		"well": {200, `{"node":"a","mode":"embedded","version":"2.15.2","durability":"process","generation":"g","nodes":["a"],"health":[],
			"streams":[{"name":"EV","messages":7,"bytes":2048,"max_bytes":1048576,"replicas":1,"leader":"s"}]}`, exitOK, "2 KiB", ""},
		"unwell":         {200, `{"mode":"external","health":["not connected to NATS"]}`, exitError, "not connected to NATS", "has a problem"},
		"in memory":      {404, `{"error":{"message":"Everything is in memory here","code":"NOT_FOUND"}}`, exitError, "", "in memory"},
		"something":      {200, `<html>`, exitError, "", "read the status"},
		"nothing":        {404, ``, exitError, "", "check that --server is the internal listener"},
		"X38 a balancer": {502, "no node answers: none is ready\n", exitError, "", "a proxy answered with status 502 (no node answers: none is ready)"},
		"X38 a proxy":    {503, "<html>", exitError, "", "a proxy answered with status 503"},
		"X38 a stream without a leader": {200, `{"mode":"external","health":["stream EV: it has no leader"],"streams":[{"name":"EV","error":"it has no leader"},{"name":"ST","leader":"s"}]}`,
			exitError, "EV      ?", "has a problem"},
		"X38 a warning": {200, `{"mode":"external","health":[],"warnings":["servers do not sync every write"]}`, exitOK, "warning", ""},
	}
	for name, a := range answers {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/internal/cluster" || r.Header.Get("Authorization") != "Bearer s" {
				t.Errorf("%s: asked for %s with %q", name, r.URL.Path, r.Header.Get("Authorization"))
			}
			w.WriteHeader(a.status)
			_, _ = w.Write([]byte(a.body))
		}))
		got := runCommand(t, "", "cluster", "status", "--server", server.URL, "--internal-secret", "s")
		server.Close()
		if got.code != a.code || !strings.Contains(got.stdout, a.out) || !strings.Contains(got.stderr, a.error) {
			t.Errorf("%s: exit code %d, printed %q, and %q", name, got.code, got.stdout, got.stderr)
		}
	}
}
