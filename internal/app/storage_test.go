package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/app"
	"tidegate/internal/config"
	"tidegate/internal/transfer"
	"tidegate/internal/wire"
)

func TestAFolderThatCannotBeMadeIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	p, err := run(t, "serve", "--listen", "127.0.0.1:0", "--data", "/dev/null/data")
	if err == nil {
		t.Fatalf("it runs: %v", p.stop())
	}
	for _, want := range []string{"/dev/null", "--data", `--data ""`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

func TestOneFolderIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, "serve", "--data", dir)
	p, err := run(t, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	if err == nil {
		t.Fatalf("two run: %v", p.stop())
	}
	if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %q does not say that %s is in use", err, dir)
	}
}

func TestEventsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--data", dir, "--namespace", "chat=events:10,age:1h,replay:all"}
	p := start(t, "serve", args...)
	do(t, "POST", p.Internal+"/internal/send", `{"topic":"chat:a","event":{"data":"kept"}}`)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, "serve", args...)
	got := do(t, "GET", p.Internal+"/internal/topics/chat:a/events", "").body
	if !strings.Contains(got, `"data":"kept"`) {
		t.Errorf("after a restart the topic holds %s", got)
	}
}

func TestStatusSaysWhereDataIs(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	if got := do(t, "GET", p.Internal+"/internal/cluster", ""); got.status != 200 || !strings.Contains(got.body, `"mode":"embedded"`) {
		t.Errorf("status %d %s", got.status, got.body)
	}
	p = start(t, "serve", "--data", "")
	if got := do(t, "GET", p.Internal+"/internal/cluster", ""); got.status != 404 || !strings.Contains(got.body, "--data") {
		t.Errorf("in memory: status %d %s, want advice on how to turn on storage", got.status, got.body)
	}
}

// TestTheLargestEventIsStoredWhole: also one whose every byte is a line of its own
// in a stream.
func TestTheLargestEventIsStoredWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--data", dir, "--namespace", "big=events:10,bytes:64MiB,age:1h,replay:all"}
	p := start(t, "serve", args...)
	bodies := map[string]string{
		"big:text":  `{"topic":"big:text","event":{"data":"` + strings.Repeat("x", 1<<20-50) + `"}}`,
		"big:lines": `{"topic":"big:lines","event":{"data":"` + strings.Repeat(`\n`, 1<<19-50) + `"}}`,
	}
	for name, body := range bodies {
		if got := do(t, "POST", p.Internal+"/internal/send", body); got.status != 200 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, "serve", args...)
	for name, body := range bodies {
		_, data, _ := strings.Cut(body, `"data":`)
		if got := do(t, "GET", p.Internal+"/internal/topics/"+name+"/events", "").body; !strings.Contains(got, `"data":`+strings.TrimSuffix(data, "}}")) {
			t.Errorf("%s is not what was sent: %d bytes", name, len(got))
		}
	}
}

// TestEventsOfOneProcessAreInALogOfItsOwn, and the status says so.
func TestEventsOfOneProcessAreInALogOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "serve", "--data", dir, "--store-size", "64MiB")
	do(t, "POST", p.Internal+"/internal/send", `{"topic":"chat:a","event":{"data":"kept"}}`)
	var status wire.ClusterStatus
	got := do(t, "GET", p.Internal+"/internal/cluster", "")
	if err := json.Unmarshal([]byte(got.body), &status); err != nil {
		t.Fatal(err)
	}
	log := status.Streams[0]
	if log.Name != "log" || log.Messages != 1 || log.First != 1 || log.Last != 1 || log.Segments != 1 || log.Topics != 1 || log.MaxBytes != 64<<20 {
		t.Errorf("log %+v", log)
	}
	if len(status.Health) > 0 || len(status.Warnings) > 0 || len(status.Generation) != 8 {
		t.Errorf("status %+v", status)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	// The bound stays until another one is given.
	p = start(t, "serve", "--data", dir)
	if got := do(t, "GET", p.Internal+"/internal/cluster", ""); !strings.Contains(got.body, `"max_bytes":67108864`) {
		t.Errorf("after a restart without --store-size: %s", got.body)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, "serve", "--listen", "127.0.0.1:0", "--data", dir, "--nats-listen", "127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), "tidegate storage export "+dir) {
		t.Errorf("with --nats-listen: %v", err)
	}
}

// TestAStopWhileItStartsIsACleanOne.
func TestAStopWhileItStartsIsACleanOne(t *testing.T) {
	t.Parallel()
	for range 5 {
		cfg, _, err := config.Load("serve", []string{"--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data", t.TempDir()}, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := app.Run(ctx, app.Options{Command: "serve", Config: cfg, Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Errorf("Run() = %v", err)
		}
	}
}

// TestADamagedLogIsShown by readiness, status and metrics, and the rest of it is served.
func TestADamagedLogIsShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"--data", dir, "--namespace", "chat=events:10,age:1h,replay:all"}
	p := start(t, "serve", args...)
	for _, text := range []string{"one", "two", "three"} {
		do(t, "POST", p.Internal+"/internal/send", `{"topic":"chat:a","event":{"data":"`+text+`"}}`)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text[bytes.Index(text, []byte("two"))] ^= 1
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, "serve", args...)
	if got := do(t, "GET", p.Internal+"/readyz", ""); got.status != 200 || !strings.Contains(got.body, "1 holes") {
		t.Errorf("readiness: %d %s", got.status, got.body)
	}
	if got := do(t, "GET", p.Internal+"/internal/cluster", ""); !strings.Contains(got.body, `"holes":1`) || !strings.Contains(got.body, "tidegate storage check") {
		t.Errorf("status: %s", got.body)
	}
	metrics := do(t, "GET", p.Internal+"/metrics", "").body
	for _, want := range []string{"\ntidegate_log_holes 1\n", "\ntidegate_log_damaged_total 1\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	if !strings.Contains(p.log.String(), "level=ERROR") {
		t.Error("the log has no error")
	}
	got := do(t, "GET", p.Internal+"/internal/topics/chat:a/events", "").body
	if !strings.Contains(got, "three") || strings.Contains(got, "two") || strings.Contains(got, "uwo") {
		t.Errorf("the topic has %s", got)
	}
}

// TestALogIsTakenOverAfterTheMachineWentDown: its ids end, once, and its events stay.
func TestALogIsTakenOverAfterTheMachineWentDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, err := transfer.FromArchive(strings.NewReader(`{"format":"tidegate-log","version":1,"generation":"gengengn","last":1}
{"seq":1,"time":"2026-01-02T03:04:05Z","topic":"chat:a","data":"kept","number":1,"prev_known":true}
{"end":true,"events":1}`))
	if err != nil {
		t.Fatal(err)
	}
	nats := transfer.NATSOptions{Dir: dir}
	if _, err := transfer.IntoNATS(t.Context(), nats, from, false, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	before, err := transfer.OpenNATS(t.Context(), nats)
	if err != nil {
		t.Fatal(err)
	}
	was := before.Header.Generation
	before.Close()
	record := filepath.Join(dir, "boot.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var boot map[string]any
	if err := json.Unmarshal(text, &boot); err != nil {
		t.Fatal(err)
	}
	boot["clean"], boot["boot_id"] = false, "another"
	if text, err = json.Marshal(boot); err == nil {
		err = os.WriteFile(record, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		p := start(t, "serve", "--data", dir, "--namespace", "chat=events:10,age:0,replay:all")
		var status wire.ClusterStatus
		if err := json.Unmarshal([]byte(do(t, "GET", p.Internal+"/internal/cluster", "").body), &status); err != nil {
			t.Fatal(err)
		}
		if anew := status.Generation != was; anew != first { // it stays from then on
			t.Errorf("generation %s, was %s", status.Generation, was)
		}
		if got := do(t, "GET", p.Internal+"/internal/topics/chat:a/events", "").body; !strings.Contains(got, `"kept"`) {
			t.Errorf("the topic has %s", got)
		}
		if text, err := os.ReadFile(record); err != nil || bytes.Contains(text, []byte("redraw")) {
			t.Errorf("record %s, %v", text, err)
		}
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		was = status.Generation
	}
}
