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

// flush writes all that waits, and reports whether more may come.
func (o *Output) flush() bool {
	for {
		batch, untold, more := o.take()
		if len(batch) == 0 && untold == 0 || !o.put(batch, untold) {
			return more // after a failure the next line tries again
		}
	}
}

// take gives the lines that wait and how many the log has not been told of. more
// is false when no others will come.
func (o *Output) take() (batch []byte, untold uint64, more bool) {
	o.mu.Lock()
	next := o.reopen
	batch, o.queue, o.reopen = o.queue, o.spare[:0], nil
	untold, more = o.untold, !o.closed
	o.mu.Unlock()
	o.spare = batch
	if next != nil {
		closeFile(o.writer)
		o.writer, o.torn = next, false
	}
	return batch, untold, more
}

// put writes lines, and before them how many are missing. It reports whether all
// of that was taken; what was not is counted.
func (o *Output) put(batch []byte, untold uint64) bool {
	out, notice := batch, 0
	if untold > 0 || o.torn {
		var b bytes.Buffer
		if o.torn {
			b.WriteByte('\n')
		}
		if untold > 0 {
			o.tell(&b, untold)
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
		o.untold -= untold
	}
	if err == nil {
		return true
	}
	o.lose(countLines(out[max(n, notice):]))
	return false
}

// tell writes the line that says how many are missing.
func (o *Output) tell(w io.Writer, lines uint64) {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were dropped: nobody took them", 0)
	r.AddAttrs(slog.Uint64("count", lines))
	_ = o.handler(w).Handle(context.Background(), r)
}
