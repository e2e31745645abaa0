//go:build linux

package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// evil steers a terminal: by escape sequences, a C1 control, a bidirectional
// override and a lone carriage return.
const evil = "x\x1b]52;c;YQ==\x07\x1b[2J\u009b31m\u202ey\rz"

// openTerminal gives both ends of a real terminal.
func openTerminal(t *testing.T) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	fd := int(outside.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	return outside, inside
}

// onTerminal runs a command with a terminal as output, and returns what that got.
func onTerminal(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	outside, inside := openTerminal(t)
	shown := make(chan string, 1)
	go func() { // ends when the terminal is closed
		text, _ := io.ReadAll(outside) // ends with EIO
		shown <- string(text)
	}()
	Main(t.Context(), System{Args: args, Stdin: strings.NewReader(stdin), Stdout: inside, Stderr: inside})
	_ = inside.Close()
	return <-shown
}

// inPipe runs a command with a pipe as output.
func inPipe(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string, 1)
	go func() { // ends when the pipe is closed
		text, _ := io.ReadAll(r)
		shown <- string(text)
	}()
	Main(t.Context(), System{Args: args, Stdin: strings.NewReader(stdin), Stdout: w, Stderr: w})
	_ = w.Close()
	defer r.Close()
	return <-shown
}

// hostile answers everything with what steers a terminal.
func hostile(t *testing.T) string {
	t.Helper()
	opened := atomic.Bool{}
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	refusal := `{"error":{"message":` + string(text) + `,"code":` + string(text) + `}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/events" && opened.CompareAndSwap(false, true):
			w.Header().Set("Content-Type", "text/event-stream")
			oneLine := strings.ReplaceAll(evil, "\r", "")
			fmt.Fprintf(w, "retry: 1\nid: %s\nevent: %s\ndata: %s\n\n", oneLine, oneLine, oneLine)
		case r.URL.Path == "/events":
			opened.Store(false)
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/typed":
			w.Header().Set("Content-Type", "text/\x1b[31mplain")
		case r.URL.Path == "/other":
			w.Header().Set("Content-Type", "text/\u009b\u202eplain")
		case r.URL.Path == "/internal/cluster":
			_, _ = io.WriteString(w, `{"mode":`+string(text)+`,"nodes":[`+string(text)+`],"node":`+string(text)+`,"health":[`+string(text)+
				`],"streams":[{"name":`+string(text)+`,"leader":`+string(text)+`}]}`)
		case r.Header.Get("Content-Type") == "application/x-ndjson":
			_, _ = io.WriteString(w, `{"id":"`+strings.ReplaceAll(evil, "\r", "")+`","code":200}`+"\n")
		default:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, refusal)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestX09NothingSteersTheTerminal, whatever command shows what others wrote.
func TestX09NothingSteersTheTerminal(t *testing.T) {
	url := hostile(t)
	for _, args := range [][]string{
		{"listen", url + "/events"},
		{"listen", url + "/events", "--json"},
		{"listen", url + "/refused"},
		{"listen", url + "/other"},
		{"listen", url + "/typed", "--max-reconnects", "1", "--max-wait", "1ms"},
		{"send", "--server", url, "--topic", "a", "b"},
		{"send", "--server", url, "-"},
		{"cluster", "status", "--server", url},
		{"cluster", "status", "--server", url, "--json"},
		{"cluster", "status", "--server", url + "/typed"},
		{"serve", "--listen", evil},
		{"config", "print", "--data", evil},
		{evil},
	} {
		shown := onTerminal(t, `{"topic":"a","event":{"data":"b"}}`, args...)
		if strings.ContainsAny(shown, "\x1b\x07\u009b\u202e") || strings.Contains(strings.ReplaceAll(shown, "\r\n", "\n"), "\r") {
			t.Errorf("tidegate %q steers the terminal: %q", args, shown)
		}
		if len(shown) == 0 {
			t.Errorf("tidegate %q shows nothing", args)
		}
	}
}

// TestX09APipeGetsWhatCame.
func TestX09APipeGetsWhatCame(t *testing.T) {
	url := hostile(t)
	data := strings.ReplaceAll(evil, "\r", "")
	if got, want := inPipe(t, "", "listen", "--quiet", url+"/events"), data+"\t"+data+"\n"; got != want {
		t.Errorf("listen: %q, want %q", got, want)
	}
	if got := inPipe(t, `{"topic":"a","event":{"data":"b"}}`, "send", "--server", url, "-"); !strings.HasPrefix(got, `{"id":"`+data+`","code":200}`+"\n") {
		t.Errorf("send -: %q", got)
	}
}

// TestX47ListenChecksTheCertificate at once, and accepts what its flags allow.
func TestX47ListenChecksTheCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: hello\n\n")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := func(args ...string) result {
		return runCommand(t, "", append([]string{"listen", server.URL, "--quiet", "--limit", "1"}, args...)...)
	}
	if got := listen(); got.code != exitError || !strings.Contains(got.stderr, "--ca") || !strings.Contains(got.stderr, "--insecure") {
		t.Errorf("an unknown authority: %+v, want an end with exit code 1 and what to do", got)
	}
	for _, args := range [][]string{{"--ca", ca}, {"--insecure"}} {
		if got := listen(args...); got.code != exitOK || got.stdout != "message\thello\n" {
			t.Errorf("listen %q: %+v", args, got)
		}
	}
	for _, args := range [][]string{{"--ca", "/nowhere"}, {"--ca", os.DevNull}} {
		if got := listen(args...); got.code != exitUsage || !strings.Contains(got.stderr, "--ca") {
			t.Errorf("listen %q: %+v, want exit code 2", args, got)
		}
	}
	for _, command := range []string{"send", "cluster"} {
		args := map[string][]string{"send": {"send", "--topic", "a", "b"}, "cluster": {"cluster", "status"}}[command]
		if got := runCommand(t, "", append(args, "--server", server.URL)...); !strings.Contains(got.stderr, "--ca") {
			t.Errorf("%s: %+v, want what to do", command, got)
		}
		if got := runCommand(t, "", append(args, "--server", server.URL, "--ca", ca)...); strings.Contains(got.stderr, "certificate") {
			t.Errorf("%s --ca: %+v", command, got)
		}
	}
}

// TestX47ListenGoesOnWhereABrowserWould.
func TestX47ListenGoesOnWhereABrowserWould(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch asked.Add(1) {
		case 1:
			_, _ = io.WriteString(w, "retry: 5806800000\nid: a\x01\ndata: 1\n\n")
		case 2:
			if got := r.URL.Query().Get("lastEventId"); got != "a\x01" {
				t.Errorf("came back with %q", got)
			}
			_, _ = io.WriteString(w, "id: 2\ndata: "+strings.Repeat("x", 20<<20)+"\n\ndata: 3\n\n")
		default:
			if got := r.Header.Get("Last-Event-ID"); got != "2" {
				t.Errorf("came back with %q", got)
			}
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	got := runCommand(t, "", "listen", server.URL, "--max-wait", "10ms")
	if want := 20<<20 + len("message\t1\nmessage\t\nmessage\t3\n"); got.code != exitOK || len(got.stdout) != want {
		t.Errorf("exit code %d, %d bytes, want %d; stderr %q", got.code, len(got.stdout), want, got.stderr)
	}
	asked.Store(1)
	got = runCommand(t, "", "listen", server.URL+"?lastEventId=a%01", "--max-wait", "10ms", "--max-event", "1MiB", "--quiet")
	if got.code != exitOK || got.stdout != "message\t3\n" || !strings.Contains(got.stderr, "--max-event") {
		t.Errorf("exit code %d, %d bytes, stderr %q", got.code, len(got.stdout), got.stderr)
	}
}
