package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The README is run as it stands: its commands by a shell, its files by what they
// are for. Only ports differ, so that nothing has to be free.

// snippet is a block of code of the README: fenced, with its language, or
// indented, which is a command.
type snippet struct{ lang, text string }

func readme(t *testing.T) (all []snippet) {
	t.Helper()
	var block *snippet
	end := func() {
		if block != nil {
			all = append(all, *block)
			block = nil
		}
	}
	fenced, before := false, ""
	for line := range strings.Lines(readText(t, "../../README.md")) {
		lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		command, indented := strings.CutPrefix(line, "    ")
		switch {
		case fence:
			end()
			if fenced = !fenced; fenced {
				block = &snippet{lang: lang}
			}
		case fenced:
			block.text += line
		case indented && (block != nil || before == ""):
			if block == nil {
				block = &snippet{lang: "sh"}
			}
			block.text += command
		default:
			end()
		}
		before = strings.TrimSpace(line)
	}
	end()
	return slices.DeleteFunc(all, func(s snippet) bool { return s.lang == "" }) // a drawing
}

// readmeBlock gives the one block of a language that contains a text.
func readmeBlock(t *testing.T, lang, part string) string {
	t.Helper()
	var found []string
	for _, s := range readme(t) {
		if s.lang == lang && strings.Contains(s.text, part) {
			found = append(found, s.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks of %s with %q, want one", len(found), lang, part)
	}
	return found[0]
}

// TestReadmeHasNothingThatIsNotRun: whoever adds a command has it run below.
func TestReadmeHasNothingThatIsNotRun(t *testing.T) {
	t.Parallel()
	run := []string{
		"sh go run ./cmd/tidegate serve\n", // and so on, by their beginnings
		"sh deploy/cluster/run\n",
		"sh ./test\n", // this
		"sh tidegate serve --listen :8080 --api-token ", "sh tidegate serve --listen :8080 --auth-header ", "sh tidegate serve --listen :8080 --api-open\n",
		"sh tidegate gateway ", "sh flask ", "sh curl ", "python from flask", "html <!doctype",
	}
	for _, s := range readme(t) {
		if !slices.ContainsFunc(run, func(begin string) bool { return strings.HasPrefix(s.lang+" "+s.text, begin) }) {
			t.Errorf("README.md has a block of %s that no test runs:\n%s", s.lang, s.text)
		}
	}
	if n := len(readme(t)); n < len(run) {
		t.Errorf("found %d blocks, want %d at least", n, len(run))
	}
}

// shell runs a command of the README in a directory, in a process group that ends
// with the test.
func shell(t *testing.T, dir, command string, env ...string) *exampleProgram {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	p := &exampleProgram{lines: make(chan string, 10_000)}
	ended := make(chan struct{})
	go func() { // ends with the last of the group
		defer close(ended)
		defer close(p.lines)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			t.Logf("%s: %s", command[:min(20, len(command))], lines.Text())
			p.lines <- lines.Text()
		}
	}()
	p.end = func(s syscall.Signal) error {
		_ = syscall.Kill(-cmd.Process.Pid, s)
		<-ended
		return cmd.Wait()
	}
	t.Cleanup(func() {
		_ = p.end(syscall.SIGKILL)
		_ = output.Close()
	})
	return p
}

// waitFor reads lines until one matches, and gives what the expression captures.
func (p *exampleProgram) waitFor(t *testing.T, expression string) string {
	t.Helper()
	want := regexp.MustCompile(expression)
	late := time.After(5 * patience) // a program is built, perhaps
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("it ended before it said %q", expression)
			}
			if found := want.FindStringSubmatch(line); found != nil {
				return found[len(found)-1]
			}
		case <-late:
			t.Fatalf("it never said %q", expression)
		}
	}
}

// TestReadmeStart does what is said under "Start".
func TestReadmeStart(t *testing.T) {
	t.Parallel()
	command := readmeBlock(t, "sh", "cmd/tidegate serve")
	env := []string{"TIDEGATE_LISTEN=" + freeAddress(t), "TIDEGATE_INTERNAL_LISTEN=127.0.0.1:0", "TIDEGATE_DATA=" + t.TempDir(), "TIDEGATE_DRAIN_TIME=0s"}
	serve := shell(t, "../..", command, env...)
	address := serve.waitFor(t, `Open (http://\S+/)`)
	web := webClient(t)
	s := &system{web: web}
	s.gateway = &program{t: t, public: strings.TrimSuffix(address, "/"), internal: "unknown"}
	s.backend = s.gateway
	if got, err := s.request("GET", address, nil); err != nil || got.status != http.StatusOK || !strings.Contains(string(got.body), "<!doctype html>") {
		t.Fatalf("the printed address: %v, %v", got.status, err)
	}
	id := s.start(t, "demo_task", jsonObject{"delay": 0, "steps": 3})
	if err := s.wantWhole(id, demoLog(3, demoMessage)); err != nil {
		t.Fatal(err)
	}
	_ = serve.end(syscall.SIGKILL)
	again := shell(t, "../..", command, env...)
	if got := again.waitFor(t, `Open (http://\S+/)`); got != address {
		t.Errorf("started again it is at %s, was at %s", got, address)
	}
	if err := s.wantWhole(id, demoLog(3, demoMessage)); err != nil {
		t.Errorf("after it was killed and started again: %v", err)
	}
	_ = again.end(syscall.SIGTERM)
}

// TestReadmeWaysToOpenServe: off loopback it does not start without one of them,
// and its error names them. Each lets the right callers in.
func TestReadmeWaysToOpenServe(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-test"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token.txt"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func() []string {
		return []string{"PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "TIDEGATE_INTERNAL_LISTEN=127.0.0.1:0", "TIDEGATE_DATA=" + t.TempDir(), "TIDEGATE_DRAIN_TIME=0s"}
	}
	var said strings.Builder
	closed := shell(t, dir, "tidegate serve --listen :0", env()...)
	for line := range closed.lines {
		said.WriteString(line)
	}
	if err := closed.end(0); err == nil {
		t.Error("it starts off loopback, though nobody has said who may call it")
	}
	for flag, want := range map[string]struct {
		bare, headers int // statuses of a listing: as it is, with a token and a forwarded name
	}{
		"--api-token":   {http.StatusUnauthorized, http.StatusOK},
		"--auth-header": {http.StatusUnauthorized, http.StatusUnauthorized}, // we are no proxy that it trusts
		"--api-open":    {http.StatusOK, http.StatusOK},
	} {
		if !strings.Contains(said.String(), flag) {
			t.Errorf("what it says does not name %s: %s", flag, said.String())
		}
		address := freeAddress(t)
		_, port, _ := strings.Cut(address, ":")
		shell(t, dir, "exec "+strings.Replace(readmeBlock(t, "sh", flag), ":8080", ":"+port, 1), env()...).waitFor(t, "is ready")
		for headers, status := range map[bool]int{false: want.bare, true: want.headers} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/tasks", nil)
			if err != nil {
				t.Fatal(err)
			}
			if headers {
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("X-Forwarded-User", "somebody")
			}
			response, err := webClient(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if _ = response.Body.Close(); response.StatusCode != status {
				t.Errorf("%s: a listing is answered %d, want %d (with token and name: %v)", flag, response.StatusCode, status, headers)
			}
		}
	}
}

// TestReadmeCluster starts the cluster, which says of itself whether it works.
func TestReadmeCluster(t *testing.T) {
	t.Parallel()
	command := strings.TrimSpace(readmeBlock(t, "sh", "deploy/cluster/run")) + " --check"
	cluster := shell(t, "../..", command)
	cluster.waitFor(t, "check passed")
	if err := cluster.end(0); err != nil {
		t.Errorf("%s ended with %v", command, err)
	}
}

// besideFlask runs the files and commands under "Beside a backend of your own".
type besideFlask struct {
	t          *testing.T
	page, curl string
	dir        string
	env        []string
}

func newBesideFlask(t *testing.T) *besideFlask {
	t.Helper()
	path, err := exec.LookPath("/usr/bin/flask")
	if err == nil {
		err = exec.Command("/usr/bin/python3", "-c", "import flask, requests").Run()
	}
	if err != nil {
		t.Fatal("the README's snippets need Flask and requests: run ./test, which installs them, or `apt-get install python3-flask python3-requests`")
	}
	port := func() string {
		_, port, _ := strings.Cut(freeAddress(t), ":")
		return port
	}
	flask, public, internal := port(), port(), port()
	ports := strings.NewReplacer("127.0.0.1:5000", "127.0.0.1:"+flask, "127.0.0.1:8080", "127.0.0.1:"+public, "127.0.0.1:8081", "127.0.0.1:"+internal)
	b := &besideFlask{
		t: t, page: "http://127.0.0.1:" + flask + "/static/page.html", dir: t.TempDir(),
		env: []string{
			"PATH=" + filepath.Dir(path) + ":" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "FLASK_RUN_PORT=" + flask, "PYTHONUNBUFFERED=1",
			"TIDEGATE_LISTEN=127.0.0.1:" + public, "TIDEGATE_INTERNAL_LISTEN=127.0.0.1:" + internal, "TIDEGATE_DRAIN_TIME=0s",
		},
	}
	if err := os.Mkdir(filepath.Join(b.dir, "static"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"app.py": readmeBlock(t, "python", "Flask("), "static/page.html": readmeBlock(t, "html", "EventSource")} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(ports.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.curl = ports.Replace(readmeBlock(t, "sh", "curl "))
	shell(t, b.dir, readmeBlock(t, "sh", "flask "), b.env...).waitFor(t, "Running on")
	shell(t, b.dir, "exec "+ports.Replace(readmeBlock(t, "sh", "tidegate gateway")), b.env...).waitFor(t, "is ready")
	return b
}

// say says something as the README does, with another text.
func (b *besideFlask) say(text string) {
	b.t.Helper()
	command := strings.Replace(b.curl, "It%20works", text, 1)
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append(os.Environ(), b.env...)
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), `"status":"ok"`) {
		b.t.Fatalf("%s: %v, %s", command, err, out)
	}
}

// TestX41ReadmeBesideABackend: the page shows what is said; reloaded, or opened
// late, it shows what was said before.
func TestX41ReadmeBesideABackend(t *testing.T) {
	t.Parallel()
	b := newBesideFlask(t)
	browser := startChromium(t)
	shows := func(tab *pageTab, all ...string) {
		t.Helper()
		tab.wait(fmt.Sprintf(`[...document.querySelectorAll("#news li")].map((li) => li.textContent).join() === %q`, strings.Join(all, ",")))
	}
	tab := openPageTab(t, browser, b.page, "favicon")
	tab.wait(`typeof stream === "object" && stream.readyState === EventSource.OPEN`)
	b.say("It%20works")
	shows(tab, "It works")
	b.say("again")
	shows(tab, "It works", "again")
	tab.do("reload the page", chromedp.Reload())
	shows(tab, "It works", "again")
	b.say("later")
	shows(tab, "It works", "again", "later")
	shows(openPageTab(t, browser, b.page, "favicon"), "It works", "again", "later")
}
