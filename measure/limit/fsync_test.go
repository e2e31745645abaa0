package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMessagesAreInTheFileWhenTheyAreAnswered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{modeFsync, "--data", dir}, io.Discard, writer)
		_ = writer.Close()
	}()
	var line struct{ Internal string }
	if err := json.NewDecoder(reader).Decode(&line); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, tt := range []struct{ kind, body, answer string }{
		{"application/json", `{"topic":"a"}`, `{"status":"ok"}`},
		{"application/x-ndjson", "{\"topic\":\"b\"}\n{\"topic\":\"c\"}\n", "{\"code\":200}\n{\"code\":200}\n"},
	} {
		resp, err := http.Post(line.Internal+"/internal/send", tt.kind, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(answer) != tt.answer {
			t.Errorf("%s was answered %q, %v; want %q", tt.body, answer, err, tt.answer)
		}
		want.WriteString(tt.body)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files %q, %v; want one", files, err)
		}
		if got, err := os.ReadFile(files[0]); err != nil || string(got) != want.String() {
			t.Errorf("the file has %q, %v; want %q", got, err, want.String())
		}
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d", got)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Errorf("%q stayed behind", files)
	}
}

func TestFsyncNeedsItsFolder(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	code := run(t.Context(), []string{modeFsync, "--data", filepath.Join(t.TempDir(), "none")}, io.Discard, &stderr)
	if code != exitError || !strings.Contains(stderr.String(), "--data") {
		t.Errorf("run = %d, %q; want %d and the flag", code, &stderr, exitError)
	}
}
