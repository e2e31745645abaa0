package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/archive"
	"tidegate/internal/leftover"
	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
	"tidegate/internal/transfer"
)

func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }

// patience is how long a test waits for what must come.
const patience = time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// sample are events of three topics, with gaps, an end, a deletion and keys.
func sample(n int) []archive.Event {
	now := time.Now().Add(-time.Minute).UnixNano()
	var events []archive.Event
	last, count := map[string]uint64{}, map[string]uint64{}
	for i := range n {
		name := fmt.Sprintf("t:%d", i%3)
		count[name]++
		e := archive.Event{Stored: topic.Stored{Seq: uint64(7*i + 11), At: now + int64(i), PrevKnown: true, Entry: topic.Entry{
			Topic: name, Name: "n", Data: fmt.Sprintf("%d é", i), HasEvent: true, Number: count[name], Prev: last[name], Age: time.Hour,
		}}}
		switch {
		case i == n-1:
			e.Close = true
		case i == n/2:
			e.Entry = topic.Entry{Topic: name, Delete: true, Age: time.Hour}
			count[name] = 0
		case i%10 == 0:
			id := topic.KeyID(topic.Entry{Topic: name, Key: fmt.Sprint(i)})
			e.KeyID = string(id[:])
		}
		last[name] = e.Seq
		events = append(events, e)
	}
	return events
}

var header = archive.Header{Generation: "gengengn", Secret: "secret", Last: 1 << 40, Discarded: 11}

func archived(t testing.TB, events []archive.Event) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, header)
	for _, e := range events {
		err = errors.Join(err, w.Write(e))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func fromArchive(t testing.TB, text []byte) *transfer.Source {
	t.Helper()
	s, err := transfer.FromArchive(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everything gives all of a source, and closes it.
func everything(t testing.TB, s *transfer.Source, err error) (h archive.Header, events []archive.Event) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Each(within(t), func(e archive.Event) error { events = append(events, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return s.Header, events
}

// TestALogGoesIntoAFolderAndBack, with positions, times and keys as they were.
func TestALogGoesIntoAFolderAndBack(t *testing.T) {
	t.Parallel()
	dir, events := filepath.Join(t.TempDir(), "new"), sample(3000)
	n, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, events)), 0, false, testLog(t))
	if err != nil || n != 3000 {
		t.Fatalf("%d events, %v", n, err)
	}
	s, err := transfer.OpenFolder(within(t), dir, testLog(t))
	h, got := everything(t, s, err)
	if h.Generation != header.Generation || h.Secret != header.Secret || h.Last != header.Last || h.Discarded < header.Discarded {
		t.Errorf("header %+v, want %+v", h, header)
	}
	// What came before the deletion does not count.
	deleted := events[1500]
	var want []archive.Event
	for _, e := range events {
		if e.Topic != deleted.Topic || e.Seq >= deleted.Seq {
			want = append(want, e)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, events)), 0, false, testLog(t)); err == nil || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("into a folder that has a log: %v", err)
	}
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, events[:10])), 0, true, testLog(t)); err != nil {
		t.Error(err)
	}
	s, err = transfer.OpenFolder(within(t), dir, testLog(t))
	if _, got = everything(t, s, err); len(got) != 10 {
		t.Errorf("%d events after it was replaced", len(got))
	}
}

// TestAnImportThatFailsChangesNothing, wherever the archive ends.
func TestAnImportThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	dir, whole := t.TempDir(), archived(t, sample(500))
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, sample(3))), 0, false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	for n := bytes.IndexByte(whole, '\n') + 1; n < len(whole)-1; n += len(whole) / 20 {
		if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, whole[:n]), 0, true, testLog(t)); err == nil {
			t.Fatalf("%d of %d bytes pass", n, len(whole))
		}
		s, err := transfer.OpenFolder(within(t), dir, testLog(t))
		if _, got := everything(t, s, err); len(got) != 3 {
			t.Fatalf("after %d bytes the log has %d events", n, len(got))
		}
		if _, err := os.Stat(filepath.Join(dir, "log.import")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("something is left: %v", err)
		}
	}
}

// TestALogGoesToNATSAndBack: positions are new there, and stay on the way back.
func TestALogGoesToNATSAndBack(t *testing.T) {
	t.Parallel()
	shared, own, events := t.TempDir(), t.TempDir(), sample(999)
	opts := nats.Options{Dir: shared, Log: testLog(t)}
	if _, err := transfer.IntoNATS(within(t), opts, fromArchive(t, archived(t, events)), false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.IntoNATS(within(t), opts, fromArchive(t, archived(t, events)), false, testLog(t)); err == nil || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("into a log that is not empty: %v", err)
	}
	s, err := transfer.OpenFolder(within(t), shared, testLog(t))
	h, there := everything(t, s, err)
	if len(there) != len(events) || h.Generation == header.Generation || h.Last != uint64(len(events)) {
		t.Fatalf("%d events, header %+v", len(there), h)
	}
	s, err = transfer.OpenFolder(within(t), shared, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.IntoFolder(within(t), own, s, 0, false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, err = transfer.OpenFolder(within(t), own, testLog(t))
	again, back := everything(t, s, err)
	if again.Generation != h.Generation || again.Secret != h.Secret || again.Last != h.Last {
		t.Errorf("header %+v, want %+v", again, h)
	}
	i := 0
	for _, e := range there {
		if e.Topic == events[499].Topic && e.Seq < 500 { // deleted
			continue
		}
		if diff := cmp.Diff(e, back[i]); diff != "" {
			t.Fatal(diff)
		}
		i++
	}
}

// TestAFolderInUseIsLeftAlone, also by what only reads.
func TestAFolderInUseIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, sample(9))), 0, false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	e, err := nats.Open(within(t), nats.Options{Dir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := transfer.OpenFolder(within(t), dir, testLog(t)); err == nil || !strings.Contains(err.Error(), "in use by another process (pid ") {
		t.Errorf("error %v", err)
	}
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, sample(9))), 0, true, testLog(t)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
}

// TestWhatIsDamagedIsLeftOut of an export, which says so.
func TestWhatIsDamagedIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := transfer.IntoFolder(within(t), dir, fromArchive(t, archived(t, sample(9))), 0, false, testLog(t)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("7 é"))
	text[at] = '8'
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := transfer.OpenFolder(within(t), dir, testLog(t))
	h, got := everything(t, s, err)
	if len(s.Missing) != 1 || !strings.Contains(s.Missing[0], filepath.Base(files[0])) || h.Discarded <= header.Discarded {
		t.Errorf("missing %q, header %+v", s.Missing, h)
	}
	for _, e := range got {
		if e.Data == "8 é" && e.Seq == sample(9)[7].Seq {
			t.Error("a damaged event is exported")
		}
	}
}
