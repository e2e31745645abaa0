package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/checkout"
)

// exampleProgram is one of examples/, running. It is killed when the test ends.
type exampleProgram struct {
	lines chan string                // of its standard output; closed at its end
	end   func(syscall.Signal) error // of those that shell starts: signals all of the group and waits
}

func runExample(t *testing.T, name string, args ...string) *exampleProgram {
	t.Helper()
	return runExampleWith(t, nil, name, args...)
}

func runExampleWith(t *testing.T, env []string, name string, args ...string) *exampleProgram {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &exampleProgram{lines: make(chan string, 1000)}
	ended := make(chan struct{})
	go func() { // ends with the program
		defer close(ended)
		defer close(p.lines)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", name, stderr.String())
		}
	})
	return p
}

// line waits for the next line, "" at the end.
func (p *exampleProgram) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-p.lines:
		return line
	case <-time.After(patience):
		t.Fatal("the program says nothing more")
		return ""
	}
}

// buildExample builds one of the examples that are in Go.
func buildExample(t *testing.T, name string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), name)
	args := slices.Concat([]string{"build", "-o", program}, checkout.RaceFlags(), []string{"../../examples/" + name})
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

func TestPythonExampleWorksAsItsReadmeSays(t *testing.T) {
	t.Parallel()
	worksAsItsReadmeSays(t, nil, "python3", "../../examples/python/backend.py")
}

func TestGoBackendExampleWorksAsItsReadmeSays(t *testing.T) {
	t.Parallel()
	const secret = "callback-secret-of-the-example"
	worksAsItsReadmeSays(t, []string{"TIDEGATE_CALLBACK_SECRET=" + secret}, buildExample(t, "go-backend"))
}

// worksAsItsReadmeSays runs a backend of the examples beside a gateway. env is for both.
func worksAsItsReadmeSays(t *testing.T, env []string, program string, args ...string) {
	_, port, _ := strings.Cut(freeAddress(t), ":")
	backend := "http://127.0.0.1:" + port
	flags := []string{"gateway", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0",
		"--callback-url", backend + "/callback", "--drain-time", "0"}
	for _, setting := range env {
		flags = append(flags, "--callback-secret", setting[strings.IndexByte(setting, '=')+1:])
	}
	gateway := startAs(t, flags...)
	running := runExampleWith(t, env, program, append(args, "--port", port, "--gateway", gateway.internal)...)
	if line := running.line(t); line != "backend is ready at "+backend {
		t.Fatalf("the backend says %q", line)
	}
	t.Cleanup(gateway.stop)

	web := webClient(t)
	post := func(headline string) {
		t.Helper()
		res, err := web.Post(backend+"/headlines", "application/x-www-form-urlencoded", strings.NewReader(headline))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readReply(res); err != nil || got.status != http.StatusOK {
			t.Fatalf("post of a headline: %v, %v", got, err)
		}
	}
	post("Before")
	listener := runExample(t, binary, "listen", "--json", gateway.public+"/news")
	if line := listener.line(t); !strings.Contains(line, `"Before"`) || !strings.Contains(line, `"headline"`) {
		t.Errorf("tidegate listen prints %s, want what there was before", line)
	}
	post("It works")
	if line := listener.line(t); !strings.Contains(line, `"It works"`) {
		t.Errorf("tidegate listen prints %s", line)
	}
	res, err := web.Get(gateway.public + "/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readReply(res); err != nil || got.status != http.StatusNotFound {
		t.Errorf("a stream elsewhere: %v, %v, want the backend's 404", got, err)
	}

	// Who comes back gets what it missed, once.
	s := &system{gateway: gateway, backend: gateway, web: web}
	w := s.open(t, "/news", "")
	if got := shapes(w.events(t, 2)); got[0] != "headline Before" || got[1] != "headline It works" {
		t.Errorf("a stream shows %q", got)
	}
	w.reset()
	post("Missed")
	if e := s.open(t, "/news", w.lastID()).event(t); shape(e) != "headline Missed" {
		t.Errorf("a client that came back receives %s first", shape(e))
	}
}

func TestGoTaskExampleWorksAsItsReadmeSays(t *testing.T) {
	t.Parallel()
	example := buildExample(t, "go-task")
	serve := startAs(t, "serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--drain-time", "0")
	s := &system{gateway: serve, backend: serve, web: webClient(t)}
	s.stopAtEnd(t)
	program := runExample(t, example, "-server", serve.internal)
	id, ok := strings.CutPrefix(program.line(t), "task:")
	if !ok || program.line(t) != "" {
		t.Fatal("it does not print the topic, and nothing else")
	}
	if err := s.wantWhole(id, []string{
		"task_started null",
		`progress_update {"text":"0² = 0","value":0.2}`,
		`progress_update {"text":"1² = 1","value":0.4}`,
		`progress_update {"text":"2² = 4","value":0.6}`,
		`progress_update {"text":"3² = 9","value":0.8}`,
		`progress_update {"text":"4² = 16","value":1}`,
		`task_completed {"sum":30}`,
		`connection_close {"reason":"task_completed"}`,
	}); err != nil {
		t.Error(err)
	}
}

// The READMEs show commands with their default addresses; what the tests above
// call must be in them.
func TestExamplesAreTheOnesOfTheReadme(t *testing.T) {
	t.Parallel()
	readme := readText(t, "../../examples/README.md")
	for _, command := range []string{
		"tidegate gateway --callback-url http://127.0.0.1:5000/callback",
		"python3 examples/python/backend.py",
		"tidegate listen http://localhost:8080/news",
	} {
		if !strings.Contains(readme, command) {
			t.Errorf("examples/README.md does not say: %s", command)
		}
	}
	for _, name := range []string{"go-task", "go-backend"} {
		if code := readText(t, "../../examples/"+name+"/main.go"); !strings.Contains(code, "go run ./examples/"+name) {
			t.Errorf("examples/%s does not say how to run it", name)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
