package logging

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"time"
)

// run writes what is queued until the output is closed.
func (o *Output) run() {
	defer close(o.done)
	for range o.wake {
		if !o.flush() {
			if o.opts.File != "" {
				closeFile(o.writer)
			}
			return
		}
	}
}

// flush writes all queued lines, and reports whether more can follow.
func (o *Output) flush() bool {
	for {
		batch, unreported, more := o.take()
		if len(batch) == 0 && unreported == 0 || !o.put(batch, unreported) {
			return more // after a failure the next line tries again
		}
	}
}

// take returns the queued lines, and how many dropped lines no log line has reported. more is false
// after Close.
func (o *Output) take() (batch []byte, unreported uint64, more bool) {
	o.mu.Lock()
	next := o.reopen
	batch, o.queue, o.reopen = o.queue, o.spare[:0], nil
	unreported, more = o.unreported, !o.closed
	o.mu.Unlock()
	o.spare = batch
	if next != nil {
		closeFile(o.writer)
		o.writer, o.torn = next, false
	}
	return batch, unreported, more
}

// put writes lines, after a line that reports how many are missing. It reports whether everything was
// written, and counts the lines that were not.
func (o *Output) put(batch []byte, unreported uint64) bool {
	out, notice := batch, 0
	if unreported > 0 || o.torn {
		var b bytes.Buffer
		if o.torn {
			b.WriteByte('\n')
		}
		if unreported > 0 {
			o.report(&b, unreported)
		}
		notice = b.Len()
		b.Write(batch)
		out = b.Bytes()
	}
	n, err := o.writer.Write(out)
	if n > 0 {
		o.torn = out[n-1] != '\n'
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n >= notice {
		o.unreported -= unreported
	}
	if err == nil {
		return true
	}
	o.lose(countLines(out[max(n, notice):]))
	return false
}

// report writes the line that says how many lines are missing.
func (o *Output) report(w io.Writer, lines uint64) {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped: their reader did not take them, or the disk is full", 0)
	r.AddAttrs(slog.Uint64("count", lines))
	_ = o.handler(w).Handle(context.Background(), r)
}
