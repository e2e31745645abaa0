package logging_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"tidegate/internal/logging"
)

func open(t *testing.T, opts logging.Options) (*logging.Output, *slog.Logger) {
	t.Helper()
	o, log, err := logging.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o, log
}

// broken is a reader of the log that comes and goes.
type broken struct {
	mu   sync.Mutex
	away bool
	took int // of a line that it takes before it is away
	text bytes.Buffer
}

func (b *broken) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		n := min(b.took, len(p))
		b.took = 0
		b.text.Write(p[:n])
		return n, errors.New("no reader")
	}
	return b.text.Write(p)
}

func (b *broken) set(away bool, took int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.took = away, took
}

func (b *broken) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			fields = map[string]any{"torn": line}
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestX22LinesThatNobodyTakesAreCountedAndToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := &broken{}
		o, log := open(t, logging.Options{Format: "json", Stderr: reader})
		say := func(text string) {
			log.Info(text)
			synctest.Wait()
		}
		say("first")
		reader.set(true, 10) // in the middle of the next
		say("lost 1")
		say("lost 2")
		if got := o.Dropped(); got != 2 {
			t.Errorf("Dropped() = %d, want 2", got)
		}
		reader.set(false, 0)
		say("back")
		say("last")
		got := reader.lines(t)
		if len(got) != 5 || got[0]["msg"] != "first" || got[1]["torn"] == nil || got[2]["count"] != 2.0 || got[2]["level"] != "WARN" ||
			got[3]["msg"] != "back" || got[4]["msg"] != "last" {
			t.Errorf("the log is %v, want first, a torn line, 2 dropped, back, last", got)
		}
		if got := o.Dropped(); got != 2 {
			t.Errorf("Dropped() = %d after all, want 2", got)
		}
	})
}

// A reader that is there and does not read must not hold up whoever logs.
func TestX22AReaderThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	o, log := open(t, logging.Options{Format: "json", Stderr: w})
	long := strings.Repeat("x", 64<<10)
	const lines = 64 // four times what is queued
	for i := range lines {
		log.Info(long, "n", i)
	}
	dropped := o.Dropped()
	if dropped < lines/2 || dropped >= lines {
		t.Errorf("Dropped() = %d of %d lines, want most", dropped, lines)
	}
	text := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := text.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`"count":%d}`, dropped); bytes.Contains(line, []byte(want)) {
			break
		}
	}
	_ = r.Close()
}

func TestCloseDoesNotWaitForAReaderForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		o, log, err := logging.Open(logging.Options{Stderr: w})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("nobody reads this")
		if err := o.Close(); err == nil {
			t.Error("Close() = nil, but a line was lost")
		}
		_ = r.Close()
		synctest.Wait() // the goroutine has ended
	})
}

func TestX21ReloadOpensTheFileAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	o, log, err := logging.Open(logging.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := o.Reload(); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	// A folder that is in the way: the old one stays.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := o.Reload(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Reload() = %v, want an error that names the file", err)
	}
	log.Info("three")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range []string{".1", ".2"} {
		text, err := os.ReadFile(path + name)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(string(text))
		if has := strings.Contains(string(text), "msg=three"); has != (name == ".2") {
			t.Errorf("the file %s is %q, want the last line in the second", name, text)
		}
	}
	for _, want := range []string{"one", "two", "three"} {
		if !strings.Contains(all.String(), "msg="+want) {
			t.Errorf("the line %s is lost: %q", want, all.String())
		}
	}
}

func TestOpenNamesTheSettingOfAFileThatCannotBeMade(t *testing.T) {
	t.Parallel()
	if _, _, err := logging.Open(logging.Options{File: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "--log-file") {
		t.Errorf("Open() = %v, want an error that names --log-file", err)
	}
}

func TestLinesOfManyStayWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	o, log, err := logging.Open(logging.Options{File: path, Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 100 {
				log.Info("line", "i", i, "n", n)
				if n%30 == 0 {
					_ = o.Reload()
				}
			}
		})
	}
	all.Wait()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range bytes.Lines(text) {
		if lines++; !json.Valid(line) {
			t.Fatalf("not a line: %q", line)
		}
	}
	if lines != 800 || o.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped, want 800", lines, o.Dropped())
	}
}

func TestX22ANamedPipeIsWrittenToAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := logging.Open(logging.Options{File: path}); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("without a reader: %v, want an error at once", err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	_, log := open(t, logging.Options{File: path})
	log.Info("through the pipe")
	if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || !strings.Contains(line, "through the pipe") {
		t.Errorf("the reader got %q, %v", line, err)
	}
}

// A full disk costs lines and nothing else, and says so when there is room.
func TestX22AFullDiskCostsLines(t *testing.T) {
	t.Parallel()
	o, log, err := logging.Open(logging.Options{File: "/dev/full"})
	if err != nil {
		t.Skip(err)
	}
	log.Info("no room for this")
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if o.Dropped() != 1 {
		t.Errorf("Dropped() = %d, want 1", o.Dropped())
	}
}
