package stream

import (
	"net/http"
	"sync"
	"time"
)

// writer is the response of one stream: it bounds every write in time and can
// be interrupted from outside.
type writer struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	began   time.Time // of the slice being written; owned by the goroutine in Serve
	late    bool      // a slice took the whole timeout

	mu   sync.Mutex
	gone bool // guarded by mu: w must not be touched any more, or not be armed again
}

// write sends p and flushes, the headers too if they wait; p may be empty. The
// deadline is cleared at the end: left standing, it would reset an idle HTTP/2
// stream.
func (o *writer) write(p []byte) error {
	for {
		n := min(len(p), sliceBytes)
		if err := o.slice(p[:n]); err != nil {
			o.late = time.Since(o.began) >= o.timeout
			return err
		}
		if p = p[n:]; len(p) == 0 {
			o.arm(time.Time{})
			return nil
		}
	}
}

func (o *writer) slice(p []byte) error {
	o.began = time.Now()
	if !o.arm(o.began.Add(o.timeout)) {
		return http.ErrAbortHandler
	}
	if _, err := o.w.Write(p); err != nil {
		return err
	}
	return o.rc.Flush()
}

// arm sets the write deadline, unless the writer has been interrupted. A
// response without deadlines (a recorder in tests) is written to without.
func (o *writer) arm(t time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone {
		_ = o.rc.SetWriteDeadline(t)
	}
	return !o.gone
}

// interrupt makes a write in progress fail, and all later ones.
func (o *writer) interrupt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone {
		o.gone = true
		_ = o.rc.SetWriteDeadline(time.Unix(1, 0))
	}
}

// release says that the response belongs to net/http again.
func (o *writer) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = true
}

// stalled reports whether a write failed because the client took nothing for
// the whole timeout.
func (o *writer) stalled() bool { return o.late }
