package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tool runs a command of the program to its end.
func tool(t *testing.T, stdin string, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if code = cmd.ProcessState.ExitCode(); code != 0 {
		t.Logf("tidegate %q: exit code %d, %s", args, code, errs.String())
	}
	return out.String(), code
}

// archiveOf is an archive of n events of topics t:0 to t:9 that stay for an hour.
func archiveOf(n int) string {
	var b strings.Builder
	now := time.Now().UTC().Format(time.RFC3339Nano)
	fmt.Fprintf(&b, `{"format":"tidegate-log","version":1,"generation":"gengengn","secret":"s","last":%d}`+"\n", n)
	for i := range n {
		prev := max(0, i-9)
		fmt.Fprintf(&b, `{"seq":%d,"time":%q,"topic":"t:%d","data":"event %d %0200d","number":%d,"prev":%d,"prev_known":true,"age":"1h0m0s"}`+"\n",
			i+1, now, i%10, i, 0, i/10+1, prev)
	}
	fmt.Fprintf(&b, `{"end":true,"events":%d}`+"\n", n)
	return b.String()
}

// TestATakeoverSurvivesKills: a process is killed while it takes over the events that an
// older version has left on NATS, again and again. In the end all of them are there,
// with the positions and times that they had, and clients go on with their ids.
func TestATakeoverSurvivesKills(t *testing.T) {
	t.Parallel()
	const n = 20_000
	data := filepath.Join(t.TempDir(), "data")
	if _, code := tool(t, archiveOf(n), "storage", "import", "--shared", data); code != 0 {
		t.Fatal("no folder to begin with")
	}
	before, _ := tool(t, "", "storage", "dump", data)
	if lines := strings.Count(before, "\n"); lines != n {
		t.Fatalf("%d events to begin with", lines)
	}
	args := []string{"--data", data, "--namespace", "t=events:100000,bytes:1GiB,age:1h,replay:all"}
	all := append([]string{"serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--log-format", "json"}, args...)
	for i := range 8 {
		p := launch(t, nil, all...)
		eventually(t, "it takes the log over, or is ready", func() bool {
			return strings.Contains(p.log(), "converting the event log") || strings.Contains(p.log(), `"msg":"ready"`)
		})
		time.Sleep(time.Duration(i) * 25 * time.Millisecond) // to be killed in different moments
		p.signal(syscall.SIGKILL)
		<-p.gone
	}
	p := start(t, "serve", args...)
	if id := p.api().newest("t:7"); !strings.Contains(id, "-") {
		t.Errorf("newest id %q", id)
	}
	p.stop()
	after, _ := tool(t, "", "storage", "dump", data)
	if after != before {
		t.Errorf("%d events, %d before, or not the same", strings.Count(after, "\n"), n)
	}
	if report, code := tool(t, "", "storage", "check", data); code != 0 {
		t.Errorf("check: %s", report)
	}
	for _, left := range []string{"log.import", "nats/jetstream/$G/streams/TIDEGATE_EV"} {
		if isThere(t, filepath.Join(data, left)) {
			t.Errorf("%s is left", left)
		}
	}
}

// newest is the id of the newest event of a topic.
func (a *api) newest(topic string) string {
	a.t.Helper()
	_, answer := a.call("GET", "/internal/topics/"+topic, "", "")
	_, id, _ := strings.Cut(answer, `"last_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}
