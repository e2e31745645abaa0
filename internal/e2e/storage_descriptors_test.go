//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limitFiles sets how many files a process may have open; it returns what it was.
func (p *program) limitFiles(most uint64) (before uint64) {
	p.t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: old.Max}, nil); err != nil {
		p.t.Fatal(err)
	}
	return old.Cur
}

// TestX14StorageComesBackByItself: a process runs out of descriptors while it
// stores events, and has none when its storage is restarted. It says so, waits for
// nothing, and goes on when it has some again. What it has answered is there.
func TestX14StorageComesBackByItself(t *testing.T) {
	t.Parallel()
	for _, without := range []time.Duration{0, 3 * time.Second} {
		t.Run(fmt.Sprintf("without descriptors for %s", without), func(t *testing.T) {
			t.Parallel()
			p := start(t, "serve", "--data", t.TempDir(), "--namespace", "x14=events:10000,bytes:256MiB,age:1h")
			a := p.api()
			a.client.Timeout = 15 * time.Second
			taken := 0
			send := func() (status int, answer string) {
				status, answer = a.send(toTopic("x14:a", fmt.Sprintf("%d %s", taken, strings.Repeat("x", 500<<10))))
				if status == http.StatusOK {
					taken++
				} else if !strings.Contains(answer, `"ENGINE_UNAVAILABLE"`) || status != http.StatusServiceUnavailable {
					t.Fatalf("send: %d %.300s", status, answer)
				}
				return status, answer
			}
			send()
			limit := p.limitFiles(3)
			for tries := 0; len(a.readyReasons()) == 0; tries++ {
				if send(); tries > 200 {
					t.Fatal("it does not run out of anything")
				}
			}
			began := time.Now()
			status, _ := send()                                               // the log may go on where the records of streams cannot
			t.Logf("while not ready: %d after %s", status, time.Since(began)) // no bound: the machine may be busy
			time.Sleep(without)                                               // more tries to restart storage come to nothing
			p.limitFiles(limit)
			eventually(t, "it is ready again", func() bool { return len(a.readyReasons()) == 0 })
			if status, answer := send(); status != http.StatusOK {
				t.Errorf("when ready again: %d %s", status, answer)
			}
			a.wantNumbered("x14:a", taken)
			p.stop()
		})
	}
}

// readyReasons asks /readyz, over the connection that is there already.
func (a *api) readyReasons() []string {
	a.t.Helper()
	_, answer := a.call(http.MethodGet, "/readyz", "", "")
	var ready struct{ Reasons []string }
	if err := json.Unmarshal([]byte(answer), &ready); err != nil {
		a.t.Fatalf("/readyz: %v: %s", err, answer)
	}
	return ready.Reasons
}

// wantNumbered wants events 0 to n-1 in a topic, whose data begin with their number.
func (a *api) wantNumbered(topic string, n int) {
	a.t.Helper()
	found := map[string]bool{}
	for after := ""; ; {
		_, answer := a.call(http.MethodGet, "/internal/topics/"+topic+"/events?limit=10&after="+after, "", "")
		var page struct {
			Events []struct{ Data string }
			Next   string
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			a.t.Fatalf("events: %v: %.300s", err, answer)
		}
		for _, e := range page.Events {
			number, _, _ := strings.Cut(e.Data, " ")
			found[number] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for i := range n {
		if !found[strconv.Itoa(i)] {
			a.t.Errorf("event %d of %d was answered and is not there", i, n)
		}
	}
}
