//go:build linux

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX39AFullDiskIsNoReasonNotToStart: after a kill and after a stop in order the
// process starts, is not ready, gives what is there, and goes on when there is room.
func TestX39AFullDiskIsNoReasonNotToStart(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	filler := filepath.Join(disk, "filler")
	fill := func() {
		t.Helper()
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1 << 20, 4096, 1} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(disk, "data")
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		p := start(t, "serve", "--data", data)
		p.api().mustSend(toTopic("a", "kept"))
		fill()
		p.signal(end)
		<-p.gone
		p = start(t, "serve", "--data", data)
		a := p.api()
		if reasons := strings.Join(a.readyReasons(), "; "); !strings.Contains(reasons, "nearly full") {
			t.Errorf("after %v: reasons %q", end, reasons)
		}
		if status, answer := a.send(toTopic("a", "more")); status != http.StatusServiceUnavailable || !strings.Contains(answer, "ENGINE_FULL") {
			t.Errorf("after %v: send: %d %s", end, status, answer)
		}
		if _, events := a.call(http.MethodGet, "/internal/topics/a/events", "", ""); !strings.Contains(events, `"kept"`) {
			t.Errorf("after %v: events %s", end, events)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is ready when there is room", func() bool { return len(a.readyReasons()) == 0 })
		a.mustSend(toTopic("a", "more"))
		p.stop()
	}
}
