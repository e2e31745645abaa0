package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/storage/natstest"
)

// TestAFolderKeepsTheBoundOfItsLog: that it was given, or what the log needs that was put
// into it.
func TestAFolderKeepsTheBoundOfItsLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct{ asked, bytes, want int64 }{
		{0, 1 << 20, 0},
		{77 << 20, 0, 77 << 20},
		{0, 8 << 30, 10 << 30},
		{0, 1 << 30, 10 << 30},
	} {
		f, err := OpenFolder(dir, natstest.Log(t))
		if err != nil {
			t.Fatal(err)
		}
		f.Bound(c.asked, c.bytes)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if record, err := readRecord(dir); err != nil || record.LogBytes != c.want || !record.Clean {
			t.Errorf("%+v: record %+v, %v", c, record, err)
		}
	}
	e := openWith(t, Options{Dir: dir})
	if bytes, err := e.LogBytes(5); err != nil || bytes != 10<<30 {
		t.Errorf("%d bytes, %v", bytes, err)
	}
}

// TestALogIsReplacedAsAWhole: a process that is killed meanwhile leaves the former one.
func TestALogIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(folder, text string) {
		t.Helper()
		err := os.MkdirAll(filepath.Join(dir, folder), 0o700)
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, folder, "x"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(filepath.Join(logDir(dir), "x")); err != nil || string(text) != want {
			t.Errorf("the log is %q, %v; want %s", text, err, want)
		}
	}
	put("log.old", "former") // and the new one was not put in its place
	f, err := OpenFolder(dir, natstest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	has("former")
	f.f.record.Redraw = true
	put("made", "new")
	if err := f.Replace(filepath.Join(dir, "made")); err != nil {
		t.Fatal(err)
	}
	has("new")
	if f.f.record.Redraw {
		t.Error("the new log has to have another generation")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if release, err := HoldFolder(dir); err != nil {
		t.Error(err)
	} else {
		if _, err := OpenFolder(dir, natstest.Log(t)); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a folder that is read is taken: %v", err)
		}
		release()
	}
	openWith(t, Options{Dir: dir, Needs: NeedSessions})
	has("new")
}
