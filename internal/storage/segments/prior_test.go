package segments

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tidegate/internal/topic"
)

// TestPositionsThatNobodyGotAreNotMissing: a segment that was begun behind writes that
// failed, and in which nothing is, does not stand for the positions in between. When it
// is gone they are not missed.
func TestPositionsThatNobodyGotAreNotMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := &faultFS{}
	r := start(t, dir, func(o *Options) { o.FS = files })
	r.add(entry("a", "1"), entry("a", "2"), entry("a", "3"))
	r.stop()
	empty := filepath.Join(dir, segmentName(10))
	if err := os.WriteFile(empty, header{base: 10, prior: 3, salt: r.log.meta.Salt}.append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	files.fail(func(op, _ string) error {
		if op == "write" {
			return syscall.EIO
		}
		return nil
	})
	if res := r.log.AppendAll(t.Context(), []topic.Entry{entry("a", "fails")}); res[0].Err == nil {
		t.Fatal("a write that failed was answered")
	}
	files.set(nil)
	r.add(entry("a", "4"))
	r.stop()
	if err := os.Remove(empty); err != nil {
		t.Fatal(err)
	}
	report, err := Check(t.Context(), r.opts)
	if err != nil || report.Damaged() {
		t.Errorf("Check = %+v, %v; want nothing damaged", report, err)
	}
	r.open()
	if s := r.log.Stats(); s.Holes != 0 || r.log.Lost("a") != 0 {
		t.Errorf("%d holes, lost up to %d; want none", s.Holes, r.log.Lost("a"))
	}
}
