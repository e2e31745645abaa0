// Package logging writes the log lines of a server to standard error or to a file that can be
// reopened. Logging never blocks: if the reader stops or leaves, or the disk is full, lines are
// dropped and counted.
package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxQueue bounds the bytes of lines that wait to be written.
	maxQueue = 1 << 20
	// fileMode is that of a new log file: lines name addresses and targets.
	fileMode = 0o640
	// closeTimeout bounds how long Close waits for a reader that does not read.
	closeTimeout = 2 * time.Second
)

// Options are the settings of an [Output].
type Options struct {
	Level  slog.Level
	Format string    // "text" or "json"
	File   string    // lines are appended to it; "" logs to Stderr
	Stderr io.Writer // required without File
}

// Output takes lines and writes them in a goroutine of its own. Make it with [Open] and end it with
// Close. Its methods may be called concurrently.
type Output struct {
	opts Options
	wake chan struct{} // size 1: there may be something to write
	done chan struct{} // closed when the goroutine has ended

	mu         sync.Mutex
	queue      []byte    // guarded by mu, like all below: whole lines
	reopen     io.Writer // replaces writer before the next line
	dropped    uint64    // lines, since the start
	unreported uint64    // of dropped: those that no log line has reported yet
	closed     bool

	// Owned by the goroutine.
	writer io.Writer
	torn   bool   // the last line written has no end
	spare  []byte // the queue before the last one, to be used again
}

// Open makes an Output and the logger that writes to it.
func Open(opts Options) (*Output, *slog.Logger, error) {
	o := &Output{opts: opts, writer: opts.Stderr, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if opts.File != "" {
		file, err := openFile(opts.File)
		if err != nil {
			return nil, nil, err
		}
		o.writer = file
	}
	go o.run() // ends with Close
	return o, slog.New(o.handler(o)), nil
}

func openFile(path string) (*os.File, error) {
	// A named pipe without a reader is an error, and not waited for.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, fileMode)
	if err != nil {
		return nil, fmt.Errorf("--log-file: %w", err)
	}
	return file, nil
}

func (o *Output) handler(w io.Writer) slog.Handler {
	opts := &slog.HandlerOptions{Level: o.opts.Level, ReplaceAttr: readable}
	if o.opts.Format == "json" {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}

// readable writes durations with their unit in both formats, where JSON would have
// a number of nanoseconds, and omits nil values: "cause=<nil>" has no information.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().String())
	case slog.KindAny:
		if a.Value.Any() == nil {
			return slog.Attr{}
		}
	}
	return a
}

// Write queues whole lines. It never blocks and never fails: lines that find no room are dropped and
// counted.
func (o *Output) Write(line []byte) (int, error) {
	o.mu.Lock()
	if o.closed || len(o.queue)+len(line) > maxQueue {
		o.lose(countLines(line))
	} else {
		o.queue = append(o.queue, line...)
	}
	o.mu.Unlock()
	o.notify()
	return len(line), nil
}

// lose counts dropped lines. The caller holds mu.
func (o *Output) lose(lines uint64) {
	o.dropped += lines
	o.unreported += lines
}

// notify wakes the goroutine that writes.
func (o *Output) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Dropped returns how many lines were lost since the start.
func (o *Output) Dropped() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}

// Reload reopens the file, for after logrotate has renamed it. If that fails, the former file stays
// in use. Without a file it does nothing.
func (o *Output) Reload() error {
	if o.opts.File == "" {
		return nil
	}
	file, err := openFile(o.opts.File)
	if err != nil {
		return err
	}
	o.mu.Lock()
	old := o.reopen
	o.reopen = file
	if o.closed {
		old = file
	}
	o.mu.Unlock()
	closeFile(old)
	o.notify()
	return nil
}

// closeFile closes a log file. Standard error is not closed.
func closeFile(w io.Writer) {
	if file, ok := w.(*os.File); ok {
		_ = file.Close()
	}
}

// Close writes the queued lines, for two seconds at most. Later lines are dropped. Its error says that
// lines were lost.
func (o *Output) Close() error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.notify()
	select {
	case <-o.done:
		return nil
	case <-time.After(closeTimeout):
		return errors.New("the reader of the log does not read: the last lines are lost")
	}
}

func countLines(b []byte) uint64 { return uint64(bytes.Count(b, []byte{'\n'})) }
