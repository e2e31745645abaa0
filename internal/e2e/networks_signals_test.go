package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until looks again and again until holds is true.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// fetch gets a page of the program; "" if nothing answers.
func fetch(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// servers are the three servers, each with what it needs to run.
var servers = map[string][]string{
	"serve":   {"--data", "", "--drain-time", "0"},
	"gateway": {"--drain-time", "0"},
	"backend": {"--data", "", "--mode", "development", "--gateway-url", "http://127.0.0.1:9"},
}

func TestX21HangUpReloadsAndNeverEnds(t *testing.T) {
	t.Parallel()
	for command, args := range servers {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			args := append([]string{command, "--listen", "127.0.0.1:0", "--log-file", path, "--grace", "0"}, args...)
			args = append(args, "--internal-listen", "127.0.0.1:0")
			if command != "backend" {
				args = append(args, "--drain-time", "0")
			}
			p := launch(t, nil, args...)
			logged := func(name, want string) func() bool {
				return func() bool {
					text, _ := os.ReadFile(name)
					return strings.Contains(string(text), want)
				}
			}
			until(t, "the log file", func() bool { _, err := os.Stat(path); return err == nil })
			p.signal(syscall.SIGHUP) // before it is ready
			until(t, "ready", logged(path, "msg=ready"))
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			p.signal(syscall.SIGHUP)
			until(t, "a new log file", logged(path, `msg=reloaded part="log file"`))
			p.signal(syscall.SIGTERM)
			for range 20 { // while it stops
				_ = p.cmd.Process.Signal(syscall.SIGHUP)
			}
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if !logged(path, "msg=stopped")() {
				t.Error("the new file has no last word")
			}
		})
	}
}

// deaf runs the binary with standard output and error in a pipe, of which it
// gives the reading end.
func deaf(t *testing.T, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), w, w
	cmd.Env = []string{"HOME=" + cmd.Dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = r.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, r
}

// said waits until a program that logs JSON to the pipe says that it is ready.
func said(reader io.Reader) (ready struct{ Msg, Public, Internal string }) {
	for lines := bufio.NewScanner(reader); ready.Msg != "ready" && lines.Scan(); {
		_ = json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &ready)
	}
	return ready
}

// wantCleanEnd stops the program and wants exit code 0.
func wantCleanEnd(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, cmd)
}

// wantEnd waits until a program ends, and wants exit code 0.
func wantEnd(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the program ended with %v, want exit code 0", err)
		}
	case <-time.After(patience + 20*time.Second):
		t.Error("the program does not end")
	}
}

func TestX22TheReaderOfTheLogMayGoAway(t *testing.T) {
	t.Parallel()
	for command, args := range servers {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			args := append([]string{command, "--listen", "127.0.0.1:0", "--grace", "0", "--log-format", "json"}, args...)
			args = append(args, "--internal-listen", "127.0.0.1:0")
			if command != "backend" {
				args = append(args, "--drain-time", "0")
			}
			cmd, reader := deaf(t, args...)
			ready := said(reader)
			metrics := ready.Internal + "/metrics"
			_ = reader.Close()
			until(t, "dropped lines in the metrics", func() bool {
				_ = cmd.Process.Signal(syscall.SIGHUP) // logs a line
				text := fetch(t, metrics)
				return text != "" && !strings.Contains(text, "tidegate_logging_lines_dropped_total 0\n")
			})
			wantCleanEnd(t, cmd)
		})
	}
}

func TestX22TheReaderOfTheLogMayStopReading(t *testing.T) {
	t.Parallel()
	cmd, reader := deaf(t, "serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data", "", "--drain-time", "0", "--log-format", "json")
	ready := said(reader)
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, reader.Fd(), syscall.F_SETPIPE_SZ, 4096); errno != 0 {
		t.Fatal(errno)
	}
	for range 200 { // each logs more than one line, of which the pipe takes 4 KiB
		if fetch(t, ready.Public+"/api/sse/nothing") == "" {
			t.Fatal("the server does not answer any more")
		}
	}
	wantCleanEnd(t, cmd)
}

func TestX21HangUpReloadsSecretsFromFiles(t *testing.T) {
	t.Parallel()
	const before, after = "the-secret-of-yesterday", "the-secret-of-tomorrow"
	path := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(before)
	p := start(t, "gateway", "--internal-secret", "file:"+path, "--drain-time", "0")
	status := func(secret string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, p.internal+"/internal/streams", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if status(before) != http.StatusOK || status(after) != http.StatusUnauthorized {
		t.Fatal("the first secret does not count")
	}
	write(after)
	p.signal(syscall.SIGHUP)
	until(t, "the new secret counts", func() bool { return status(after) == http.StatusOK })
	if status(before) != http.StatusUnauthorized {
		t.Error("the old secret counts still")
	}
	write("short") // is refused, and what there was stays
	p.signal(syscall.SIGHUP)
	until(t, "an ERROR line", func() bool { return strings.Contains(p.log(), "reload failed") })
	if status(after) != http.StatusOK {
		t.Error("the secret is gone")
	}
	if log := p.log(); strings.Contains(log, before) || strings.Contains(log, after) {
		t.Error("the log has a secret")
	}
}
