package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
)

// TestAdoptedLogsAreDropped, also if the process was killed before that, or in the middle of
// it. They are not if another process has written to them since.
func TestAdoptedLogsAreDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := openWith(t, Options{Dir: dir, Needs: allNeeds})
	info, err := e.StreamInfo(natstest.Within(t), "TIDEGATE_EV")
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "made")
	if err := os.Mkdir(made, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := e.Adopt(made, Generation(info), info.State.LastSeq); err != nil {
		t.Fatal(err)
	}
	e.Close()
	stream := filepath.Join(streamsDir(storeDir(dir)), "TIDEGATE_EV")
	former := filepath.Join(dir, "former")
	if err := os.CopyFS(former, os.DirFS(stream)); err != nil {
		t.Fatal(err)
	}
	for _, meta := range []bool{true, false} { // the server deletes it first
		if !meta {
			if err := os.CopyFS(stream, os.DirFS(former)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(stream, "meta.inf")); err != nil {
				t.Fatal(err)
			}
		}
		e = openWith(t, Options{Dir: dir, Needs: NeedSessions})
		if _, err := e.StreamInfo(natstest.Within(t), "TIDEGATE_EV"); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("the log on NATS is there: %v", err)
		}
		e.Close()
	}
	if err := refused(t, Options{Dir: dir, Listen: "127.0.0.1:0"}); !strings.Contains(err, "storage export "+dir) {
		t.Errorf("with --nats-listen: %s", err)
	}
	// An older version has made another one.
	if err := os.Rename(logDir(dir), made); err != nil {
		t.Fatal(err)
	}
	openWith(t, Options{Dir: dir, Needs: NeedLog}).Close()
	if err := os.Rename(made, logDir(dir)); err != nil {
		t.Fatal(err)
	}
	if err := refused(t, Options{Dir: dir}); !strings.Contains(err, "two event logs") {
		t.Errorf("with a log of another generation: %s", err)
	}
	if _, err := os.Stat(filepath.Join(stream, "meta.inf")); err != nil {
		t.Errorf("it was touched: %v", err)
	}
}

// TestAFolderWithItsOwnLogAloneIsNotNew: without its record, ids have to begin anew.
func TestAFolderWithItsOwnLogAloneIsNotNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(logDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	e := openWith(t, Options{Dir: dir})
	if !e.NeedsGeneration() {
		t.Error("the generation of ids stays")
	}
	if err := e.GenerationDrawn(); err != nil || e.NeedsGeneration() {
		t.Errorf("redrawn: %v", err)
	}
	if room, ok := e.Room(); !ok || room <= 0 {
		t.Errorf("room %d, %v", room, ok)
	}
}
