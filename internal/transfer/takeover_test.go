package transfer_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/storage/nats"
	"tidegate/internal/transfer"
)

// takeOver opens the engine of a folder, and takes the log over.
func takeOver(t testing.TB, dir string) error {
	t.Helper()
	e, err := nats.Open(within(t), nats.Options{Dir: dir, Log: testLog(t)})
	if err != nil {
		return err
	}
	defer e.Close()
	return transfer.TakeOver(within(t), e, testLog(t))
}

// TestATakeoverMayBeKilledAnywhere: what a killed one leaves is begun again, or
// completed.
func TestATakeoverMayBeKilledAnywhere(t *testing.T) {
	t.Parallel()
	before := t.TempDir()
	if _, err := transfer.IntoNATS(within(t), nats.Options{Dir: before, Log: testLog(t)}, fromArchive(t, archived(t, sample(999))), false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	s, err := transfer.OpenFolder(within(t), before, testLog(t))
	want, events := everything(t, s, err)
	stream := filepath.Join("nats", "jetstream", "$G", "streams", "TIDEGATE_EV")
	for what, kill := range map[string]func(dir string) error{
		"before it": func(string) error { return nil },
		"while it was made": func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "log.import"), 0o700),
				os.WriteFile(filepath.Join(dir, "log.import", "0000000000000001.seg"), []byte("half of a segment"), 0o600))
		},
		"when it was whole": func(dir string) error {
			return errors.Join(takeOver(t, dir), os.Rename(filepath.Join(dir, "log"), filepath.Join(dir, "log.import")), restore(before, dir, stream))
		},
		"before the former one was deleted": func(dir string) error { return errors.Join(takeOver(t, dir), restore(before, dir, stream)) },
		"while the former one was deleted": func(dir string) error {
			return errors.Join(takeOver(t, dir), restore(before, dir, stream), os.Remove(filepath.Join(dir, stream, "meta.inf")))
		},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if err := errors.Join(os.CopyFS(dir, os.DirFS(before)), kill(dir)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for range 2 {
			if err := takeOver(t, dir); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, gone := range []string{"log.import", stream} {
				if _, err := os.Stat(filepath.Join(dir, gone)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %s is there: %v", what, gone, err)
				}
			}
			s, err := transfer.OpenFolder(within(t), dir, testLog(t))
			h, got := everything(t, s, err)
			if h.Generation != want.Generation || h.Secret != want.Secret || h.Last != want.Last {
				t.Errorf("%s: header %+v, want %+v", what, h, want)
			}
			i := 0
			for _, e := range events {
				if e.Topic != events[499].Topic || e.Seq >= 500 {
					if diff := cmp.Diff(e, got[i]); diff != "" {
						t.Fatalf("%s: %s", what, diff)
					}
					i++
				}
			}
		}
	}
}

func restore(from, to, path string) error {
	return os.CopyFS(filepath.Join(to, path), os.DirFS(filepath.Join(from, path)))
}

// TestATakeoverIsRefusedWhereThereIsNoRoom, says how much is needed, and changes nothing.
func TestATakeoverIsRefusedWhereThereIsNoRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := transfer.IntoNATS(within(t), nats.Options{Dir: dir, Log: testLog(t)}, fromArchive(t, archived(t, sample(99))), false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	e, err := nats.Open(within(t), nats.Options{Dir: dir, Log: testLog(t), MinFree: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer.TakeOver(within(t), e, testLog(t)); err == nil || !strings.Contains(err.Error(), "needs 9 MiB") {
		t.Errorf("error %v", err)
	}
	e.Close()
	if nats.HasOwnLog(dir) {
		t.Error("there is a new log")
	}
	if err := takeOver(t, dir); err != nil {
		t.Error(err)
	}
}
