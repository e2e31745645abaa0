package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What testdata/former-data.tar.gz holds: a data folder that the last version with
// the former name left in order. Topic news has two events, one task has ended, and
// two are to be run.
const (
	formerEvent = "wcjikjhz-1-dn8qbqzoyscd" // the first of topic news
	formerEnded = "defc935b-49c8-499c-8ce6-9063eeb213f2"
	formerWaits = "5905967f-d862-4f67-a1b1-60991000e0a6"
)

// withFormerData gives a working directory with the data folder of before.
func withFormerData(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("tar", "-xzf", "testdata/former-data.tar.gz", "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	return dir
}

// keepsAll are settings with which nothing in the folder is too old.
var keepsAll = []string{"--namespace", "task=age:0", "--namespace", "news=age:0,events:100"}

func TestFormerDataFolderIsTakenOver(t *testing.T) {
	t.Parallel()
	dir := withFormerData(t)
	for _, again := range []bool{false, true} {
		p := startIn(t, dir, nil, "serve", keepsAll...)
		if isThere(t, filepath.Join(dir, "sluice-data")) || !isThere(t, filepath.Join(dir, "tidegate-data")) {
			t.Error("the folder was not renamed")
		}
		if said := strings.Contains(p.log(), "data folder of before was renamed"); said == again {
			t.Errorf("again %v: the log says %v that it was renamed", again, said)
		}
		wantFormerData(t, p)
		p.stop()
	}
}

// TestFormerDataFolderByName: whoever names the folder goes on in it.
func TestFormerDataFolderByName(t *testing.T) {
	t.Parallel()
	dir := withFormerData(t)
	p := startIn(t, dir, nil, "serve", append([]string{"--data", "./sluice-data"}, keepsAll...)...)
	wantFormerData(t, p)
	p.stop()
	if !isThere(t, filepath.Join(dir, "sluice-data")) || isThere(t, filepath.Join(dir, "tidegate-data")) {
		t.Error("the folder was renamed")
	}
	p = launchIn(t, dir, nil, "serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data", "./sluice-data", "--nats-prefix", "other")
	if code := p.exit(); code != 1 || !strings.Contains(p.log(), "prefix sluice") {
		t.Errorf("with another prefix: exit %d, %s", code, p.log())
	}
}

func TestFormerDataFolderInUse(t *testing.T) {
	t.Parallel()
	dir := withFormerData(t)
	lock, err := os.OpenFile(filepath.Join(dir, "sluice-data", "LOCK"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p := launchIn(t, dir, nil, "serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0")
	if code := p.exit(); code != 1 || !strings.Contains(p.log(), "sluice-data is in use") {
		t.Errorf("exit %d: %s", code, p.log())
	}
	if !isThere(t, filepath.Join(dir, "sluice-data")) || isThere(t, filepath.Join(dir, "tidegate-data")) {
		t.Error("the folder of a process that runs was renamed")
	}
}

// TestFormerDataFolderBesideOneOfToday is left alone.
func TestFormerDataFolderBesideOneOfToday(t *testing.T) {
	t.Parallel()
	dir := withFormerData(t)
	if err := os.Mkdir(filepath.Join(dir, "tidegate-data"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, nil, "serve", keepsAll...)
	if _, events := p.api().call(http.MethodGet, "/internal/topics/news/events", "", ""); strings.Contains(events, "one") {
		t.Errorf("events of the other folder: %s", events)
	}
	if !strings.Contains(p.log(), "data folder of before is not used") {
		t.Error("the log does not say that a folder of before is there")
	}
	p.stop()
	if !isThere(t, filepath.Join(dir, "sluice-data", "boot.json")) {
		t.Error("it was touched")
	}
}

// wantFormerData wants that events, ids and tasks are as they were.
func wantFormerData(t *testing.T, p *program) {
	t.Helper()
	a := p.api()
	topic := func(name string) string {
		_, events := a.call(http.MethodGet, "/internal/topics/"+name+"/events", "", "")
		return events
	}
	if news := topic("news"); !strings.Contains(news, formerEvent) || !strings.Contains(news, `"two"`) {
		t.Errorf("topic news: %s", news)
	}
	if events := topic("task:" + formerEnded); !strings.Contains(events, "task_completed") {
		t.Errorf("the task that has ended: %s", events)
	}
	// What has an id of before goes on after it.
	c := open(t, p.public, "/api/sse/tasks?task_id="+formerWaits, "Last-Event-ID: "+formerEvent)
	text, err := c.rest()
	if err != nil || !strings.Contains(text, "task_completed") || strings.Contains(text, "event: reset") {
		t.Errorf("the task that waited: %v, %s", err, text)
	}
}

func isThere(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	return err == nil
}
