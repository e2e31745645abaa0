package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestCallbacksAreCountedAndMeasured(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	last := make(map[string]string) // action by token
	size := 0
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got callback
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		mu.Lock()
		defer mu.Unlock()
		before := last[got.Token]
		if err != nil || !strings.HasPrefix(got.Request.URL, "/bench/stream?id=") || len(got.Request.Headers) < 10 ||
			got.Action == actionConnect && before != "" || got.Action == actionDisconnect && before != actionConnect {
			t.Errorf("callback %s after %q: %v", body, before, err)
		}
		last[got.Token] = got.Action
		size = len(body)
	}))
	t.Cleanup(backend.Close)
	var out, stderr bytes.Buffer
	code := run(t.Context(), []string{modeCallbacks, "--callback-url", backend.URL, "--count", "50", "--concurrency", "4"}, &out, &stderr)
	var got struct {
		Count int
		CPU   float64 `json:"cpu_us_per_call"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); code != exitOK || err != nil || got.Count != 100 || got.CPU <= 0 {
		t.Errorf("run = %d, %s%s, %v; want a count of 100 and its CPU", code, &out, &stderr, err)
	}
	if len(last) != 50 || size < 800 || size > 1000 {
		t.Errorf("%d tokens in bodies of %d bytes; want 50 in about 900", len(last), size)
	}
}

func TestCallbacksEndWithTheFirstError(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(backend.Close)
	var stderr bytes.Buffer
	code := run(t.Context(), []string{modeCallbacks, "--callback-url", backend.URL}, io.Discard, &stderr)
	if code != exitError || !strings.Contains(stderr.String(), "404") {
		t.Errorf("run = %d, %q; want %d and the status", code, &stderr, exitError)
	}
}

func TestNetHTTPSendsCallbacks(t *testing.T) {
	t.Parallel()
	got := make(chan callback, 2)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var c callback
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			t.Errorf("callback: %v", err)
		}
		got <- c
	}))
	t.Cleanup(backend.Close)
	for _, c := range []struct {
		url     string
		actions []string
	}{
		{backend.URL, []string{actionConnect, actionDisconnect}},
		{"", nil},
	} {
		calls := newCaller(c.url, 1)
		public := httptest.NewServer(newHandler(t.Context(), calls))
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, public.URL+"/bench/stream?id=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := public.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("Content-Type %q", kind)
		}
		leave()
		_ = resp.Body.Close()
		public.Close() // waits for the handler
		for _, action := range c.actions {
			if got := <-got; got.Action != action || got.Request.URL != "/bench/stream?id=1" || got.Request.Headers["user-agent"] == "" {
				t.Errorf("callback %+v, want a %s", got, action)
			}
		}
		calls.close()
	}
	if len(got) > 0 {
		t.Errorf("callback %+v, want none", <-got)
	}
}

func TestInvalidCommandLines(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"nothing",
		"fanout --threads 0",
		"fanout --threads 65",
		"fanout --callback-url 127.0.0.1:80",
		"fanout extra",
		"--unknown",
		"callbacks --callback-url http://127.0.0.1:1 --count 0",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), io.Discard, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("limit %s: code %d, %q; want %d and a reason", args, code, &stderr, exitUsage)
		}
	}
	var help bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &help, io.Discard); code != exitOK || !strings.Contains(help.String(), "-threads") {
		t.Errorf("--help: code %d, %q", code, &help)
	}
	if code := run(t.Context(), []string{"nethttp", "--public", "127.0.0.1:x"}, io.Discard, io.Discard); code != exitError {
		t.Errorf("a wrong address: code %d, want %d", code, exitError)
	}
}
