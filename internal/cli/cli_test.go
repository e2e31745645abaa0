package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tidegate/internal/config"
)

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

func runCommand(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), System{Args: args, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return result{code, stdout.String(), stderr.String()}
}

func TestUsageMistakesExitWith2AndSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "no command given"},
		{[]string{"serv"}, `unknown command "serv"`},
		{[]string{"serve", "--lisen", ":1"}, "--listen"},
		{[]string{"serve", "--heartbeat", "soon"}, "soon"},
		{[]string{"listen"}, "give one URL"},
		{[]string{"listen", "ftp://x/"}, "not an http or https URL"},
		{[]string{"listen", "http://x/", "--header", "nonsense"}, "Name: value"},
		{[]string{"send"}, "--token or --topic"},
		{[]string{"send", "--token", "a", "--topic", "b", "x"}, "one of them"},
		{[]string{"send", "--topic", "a"}, "nothing to send"},
		{[]string{"send", "--topic", "a", "b", "c"}, "in quotes"},
		{[]string{"send", "--token", "a", "--transient", "x"}, "go with --topic"},
		{[]string{"send", "--token", "a", "--idempotency-key", "k", "x"}, "go with --topic"},
		{[]string{"send", "--topic", "a", "--transient", "--close", "x"}, "without --close"},
		{[]string{"send", "-", "--idempotency-key", "k"}, "leave out"},
		{[]string{"send", "-", "--topic", "a"}, "leave out"},
		{[]string{"send", "--server", "nowhere", "--topic", "a", "b"}, "--server"},
		{[]string{"cluster"}, "give status"},
		{[]string{"cluster", "status", "--server", "nowhere"}, "--server"},
		{[]string{"config"}, "check or print"},
		{[]string{"version", "please"}, "unexpected argument"},
	} {
		got := runCommand(t, "", c.args...)
		if got.code != exitUsage || !strings.Contains(got.stderr, c.want) {
			t.Errorf("tidegate %q: exit code %d, stderr %q; want 2 and %q", c.args, got.code, got.stderr, c.want)
		}
	}
}

func TestHelpOfEveryCommandIsOnStdoutAndExitsWith0(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		for _, args := range [][]string{{c.name, "--help"}, {"help", c.name}} {
			got := runCommand(t, "", args...)
			if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "tidegate "+c.name) {
				t.Errorf("tidegate %q: exit code %d, stderr %q, stdout %q", args, got.code, got.stderr, got.stdout)
			}
		}
		if got := runCommand(t, "", "--help"); !strings.Contains(got.stdout, c.summary) {
			t.Errorf("tidegate --help does not list %s", c.name)
		}
	}
}

func TestEveryFlagHasAVariableThatAllCommandsKnow(t *testing.T) {
	t.Parallel()
	known := append(config.ClientFlags(), "internal-secret", "max-body", "store-size") // settings, as are those of NATS
	for _, fs := range []*pflag.FlagSet{new(listenFlags).set(), new(sendFlags).set(), new(clusterFlags).set(), new(storageFlags).set()} {
		fs.VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(known, f.Name) && !strings.HasPrefix(f.Name, "nats-") {
				t.Errorf("tidegate %s --%s is not in config.ClientFlags", fs.Name(), f.Name)
			}
		})
	}
}

func TestConfigPrintAndCheck(t *testing.T) {
	t.Parallel()
	if got := runCommand(t, "", "config", "print", "--heartbeat", "7s"); got.code != exitOK || !strings.Contains(got.stdout, "heartbeat: 7s") {
		t.Errorf("config print: exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
	if got := runCommand(t, "", "config", "check"); got.code != exitOK || got.stdout != "configuration is valid\n" {
		t.Errorf("config check: exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
	if got := runCommand(t, "", "config", "check", "--max-age", "-1s"); got.code != exitUsage {
		t.Errorf("config check of a bad value: exit code %d, want 2", got.code)
	}
}

// TestX50ConfigPrintIsThatOfACommand, and says of which.
func TestX50ConfigPrintIsThatOfACommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args       []string
		has, lacks string
	}{
		{[]string{"print"}, "of tidegate serve.", "callback-url:"},
		{[]string{"print", "serve"}, "data: ./tidegate-data", "gateway-url:"},
		{[]string{"--heartbeat", "7s", "print"}, "heartbeat: 7s", "gateway-url:"},
		{[]string{"print", "gateway"}, "of tidegate gateway.", "task-workers:"},
		{[]string{"print", "backend", "--mode", "development", "--gateway-url", "http://g:1"}, "8082", "heartbeat:"},
		{[]string{"check", "gateway"}, "valid", "#"},
		{[]string{"check", "--gateway-url", "http://g:1"}, "valid", "#"},
	} {
		got := runCommand(t, "", append([]string{"config"}, tt.args...)...)
		if got.code != exitOK || !strings.Contains(got.stdout, tt.has) || strings.Contains(got.stdout, tt.lacks) {
			t.Errorf("config %q: %+v, want %q and no %q", tt.args, got, tt.has, tt.lacks)
		}
	}
	for _, args := range [][]string{{"print", "bench"}, {"print", "serve", "gateway"}, {"print", "--gateway-url", "http://g:1"}, {"check", "backend"}} {
		if got := runCommand(t, "", append([]string{"config"}, args...)...); got.code != exitUsage {
			t.Errorf("config %q: %+v, want exit code 2", args, got)
		}
	}
}

func TestListenPrintsEventsUntilTheStreamIsOver(t *testing.T) {
	t.Parallel()
	connects := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if connects++; connects > 1 {
			if got := r.Header.Get("Last-Event-ID"); got != "b" {
				t.Errorf("came back with Last-Event-ID %q, want b", got)
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if got := r.Header.Get("X-Test"); got != "yes" {
			t.Errorf("header X-Test is %q, want yes", got)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "retry: 1\n\nid: a\nevent: greeting\ndata: hello\ndata: world\n\nid: b\ndata: bye\n\n")
	}))
	defer server.Close()
	got := runCommand(t, "", "listen", server.URL, "--header", "X-Test: yes", "--json")
	want := `{"id":"a","event":"greeting","data":"hello\nworld"}` + "\n" + `{"id":"b","event":"message","data":"bye"}` + "\n"
	if got.code != exitOK || got.stdout != want {
		t.Errorf("listen --json: exit code %d, stdout %q, want %q", got.code, got.stdout, want)
	}
	if !strings.Contains(got.stderr, "stream ended; connecting again") {
		t.Errorf("stderr %q does not say that it connects again", got.stderr)
	}
	connects = 0
	got = runCommand(t, "", "listen", server.URL, "--header", "X-Test: yes", "--quiet", "--limit", "1")
	if got.code != exitOK || got.stdout != "greeting\thello\n\tworld\n" || got.stderr != "" {
		t.Errorf("listen --limit 1: exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

func TestListenToARefusedStreamExitsWith1(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"message":"Backend returned 403","code":"BACKEND_FORBIDDEN"}}`, http.StatusForbidden)
	}))
	defer server.Close()
	got := runCommand(t, "", "listen", server.URL)
	if got.code != exitError || !strings.Contains(got.stderr, "403") {
		t.Errorf("exit code %d, stderr %q; want 1 and the status", got.code, got.stderr)
	}
}

func TestListenEndsCleanlyWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		interrupt()
		<-r.Context().Done()
	}))
	defer server.Close()
	var out bytes.Buffer
	code := Main(ctx, System{Args: []string{"listen", server.URL}, Stdout: &out, Stderr: &out})
	if code != exitOK {
		t.Errorf("exit code %d after an interrupt, want 0; output %q", code, out.String())
	}
}

func TestSendOneMessage(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		_, _ = io.WriteString(w, `{"status":"ok","id":"x-1","receivers":0}`)
	}))
	defer server.Close()
	got := runCommand(t, "", "send", "--server", server.URL, "--internal-secret", "s3cret", "--topic", "news", "--name", "n", "hello", "--close")
	if want := `/internal/send Bearer s3cret {"topic":"news","event":{"name":"n","data":"hello"},"close":true}`; <-bodies != want {
		t.Errorf("sent something else than %q", want)
	}
	if got.code != exitOK || !strings.Contains(got.stdout, `"id":"x-1"`) {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

func TestSendBatchFromStandardInput(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("Content-Type %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		for range bytes.Lines(body) {
			_, _ = io.WriteString(w, `{"status":"ok","code":200}`+"\n")
		}
	}))
	defer server.Close()
	in := strings.Repeat(`{"topic":"news","event":{"data":"x"}}`+"\n", 2500) + "\n" + `{"topic":"news","close":true}`
	got := runCommand(t, in, "send", "--server", server.URL, "-")
	if lines := strings.Count(got.stdout, "\n"); got.code != exitOK || lines != 2501 {
		t.Errorf("exit code %d, %d answers, stderr %q; want 0 and 2501", got.code, lines, got.stderr)
	}
}

func TestSendThatIsRefusedExitsWith1(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") == "application/x-ndjson" {
			_, _ = io.WriteString(w, `{"code":404,"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}`+"\n")
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"message":"Token not found","code":"TOKEN_NOT_FOUND"}}`)
	}))
	defer server.Close()
	for _, args := range [][]string{{"--token", "t", "x"}, {"-"}} {
		got := runCommand(t, `{"token":"t"}`, append([]string{"send", "--server", server.URL}, args...)...)
		if got.code != exitError || !strings.Contains(got.stdout+got.stderr, "TOKEN_NOT_FOUND") {
			t.Errorf("send %q: exit code %d, stdout %q, stderr %q", args, got.code, got.stdout, got.stderr)
		}
	}
	if got := runCommand(t, "", "send", "--server", "http://127.0.0.1:1", "--topic", "a", "b"); got.code != exitError ||
		!strings.Contains(got.stderr, "check --server") {
		t.Errorf("send to nobody: exit code %d, stderr %q", got.code, got.stderr)
	}
}

// TestX10NoErrorShowsTheURLOfAServer, which may hold a secret in any part.
func TestX10NoErrorShowsTheURLOfAServer(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://127.0.0.1:1/s3cr3t", "http://u:s3cr3t@127.0.0.1:1", "http://127.0.0.1:1/?a=s3cr3t", "http://127.0.0.1:1/\x7fs3cr3t", "s3cr3t:x"} {
		for _, args := range [][]string{{"send", "--topic", "a", "--server", url, "x"}, {"cluster", "status", "--server", url}} {
			got := runCommand(t, "", args...)
			if got.code == 0 || got.stderr == "" || strings.Contains(got.stdout+got.stderr, "s3cr3t") {
				t.Errorf("%s: exit %d, says %s%s", args, got.code, got.stdout, got.stderr)
			}
		}
	}
}
