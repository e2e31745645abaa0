package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	runFile       = "run.json"
	callbacksFile = "callbacks.ndjson"

	// maxLine bounds a line. The longest one lists the topics of a client.
	maxLine = 1 << 20
)

// PublisherFile returns the path of a publisher's record.
func PublisherFile(dir string, publisher int) string {
	return filepath.Join(dir, fmt.Sprintf("publisher-%04d.ndjson", publisher))
}

// ClientFile returns the path of a client's record.
func ClientFile(dir string, client int) string {
	return filepath.Join(dir, fmt.Sprintf("client-%04d.ndjson", client))
}

// CallbacksFile returns the path of the record of callbacks.
func CallbacksFile(dir string) string { return filepath.Join(dir, callbacksFile) }

// Writer appends lines to a file. It is safe for concurrent use. Close returns the
// first error.
type Writer struct {
	mu   sync.Mutex
	file *os.File // guarded by mu, like the fields below
	out  *bufio.Writer
	enc  *json.Encoder
	err  error
}

// Create creates a file. An existing file is an error, so that the records of two
// runs never mix.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w; use an empty directory for each run", err)
	}
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(file, 4096)
	return &Writer{file: file, out: out, enc: json.NewEncoder(out)}, nil
}

// Write appends v as one line.
func (w *Writer) Write(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.enc.Encode(v)
	}
}

// Close flushes the file, closes it and returns the first error since Create.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.err
	if err == nil {
		err = w.out.Flush()
	}
	return errors.Join(err, w.file.Close())
}

// Finish writes run.json. All other files of the run must be complete.
func Finish(dir string, r Run) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, runFile), append(text, '\n'), 0o644)
}

// ReadRun reads run.json.
func ReadRun(dir string) (Run, error) {
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Run{}, fmt.Errorf("%w: this is not the directory of a run, or the run was aborted; run load again to its end", err)
	}
	if err != nil {
		return Run{}, err
	}
	var r Run
	if err := decode(text, &r); err != nil {
		return Run{}, fmt.Errorf("%s: %w", runFile, err)
	}
	if r.Publishers < 0 || r.Topics < 1 || r.Clients < 0 {
		return Run{}, fmt.Errorf("%s: %w: impossible values %+v", runFile, ErrInvalid, r)
	}
	return r, nil
}

// Read parses each line of a file and passes the result to each. It stops at the
// first error and adds the file name and line number to it.
func Read[T any](path string, parse func([]byte) (T, error), each func(T) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return readLines(file, filepath.Base(path), parse, each)
}

func readLines[T any](from io.Reader, name string, parse func([]byte) (T, error), each func(T) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4096), maxLine)
	for n := 1; lines.Scan(); n++ {
		v, err := parse(lines.Bytes())
		if err == nil {
			err = each(v)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
