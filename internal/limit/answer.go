package limit

import (
	"net/http"
	"net/netip"
	"time"

	"tidegate/internal/wire"
)

// Bounds of an answer.
const (
	writeTime  = 30 * time.Second // that no write may wait longer than
	answerRate = 16 << 10         // bytes a second that a client has to take
	// deadlineSlack is how much earlier a write may end.
	deadlineSlack = 3 * time.Second
	// writeBytes is how much is written with one deadline.
	writeBytes = 64 << 10
)

// writer is the answer to a request: what a client does not take in time is cut,
// and what waits for the client is counted.
type writer struct {
	http.ResponseWriter
	rc      *http.ResponseController
	limits  *Limits
	address uint64 // hash, see [Limits.hash]
	conn    *Conn  // of HTTP/1.1; nil: not known

	status  int // that is to be written; 0: none
	written int64
	waited  time.Duration // for the client, so far
	failed  error
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status. It goes out with the first bytes, which may have
// no room: then another one does.
func (w *writer) WriteHeader(status int) {
	switch {
	case status < http.StatusOK && status != http.StatusSwitchingProtocols:
		w.ResponseWriter.WriteHeader(status)
	case w.status == 0:
		w.status = status
	}
}

// header sends the status, once.
func (w *writer) header() {
	if w.status > 0 {
		w.ResponseWriter.WriteHeader(w.status)
	}
	w.status = -1
}

// Write implements [http.ResponseWriter].
func (w *writer) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	n := int64(len(p))
	if !w.limits.bytes.add(w.address, n) {
		w.failed = w.limits.refuse(ErrInflight, netip.Addr{})
		if w.status < 0 { // too late to say so
			panic(http.ErrAbortHandler)
		}
		w.instead()
		return 0, w.failed
	}
	defer w.limits.bytes.remove(w.address, n)
	w.header()
	for done := 0; ; {
		part := p[done:min(len(p), done+writeBytes)]
		m, err := w.write(part)
		if done += m; err != nil || done == len(p) {
			w.failed = err
			return done, err
		}
	}
}

// write writes with a deadline. Only the time in which the client takes nothing
// counts, not that in which the answer is made.
func (w *writer) write(p []byte) (int, error) {
	w.patience()
	begin := time.Now()
	n, err := w.ResponseWriter.Write(p)
	w.waited += time.Since(begin)
	w.written += int64(n)
	return n, err
}

func (w *writer) patience() {
	left := writeTime + time.Duration(w.written)*time.Second/answerRate - w.waited
	now := time.Now()
	at := now.Add(min(writeTime, left))
	if w.conn != nil {
		// A deadline costs as much as the rest of a small answer: that of the answer
		// before holds a little longer.
		if was := w.conn.late.Load(); was <= at.UnixNano() && was > at.Add(-deadlineSlack).UnixNano() {
			return
		}
		w.conn.late.Store(at.UnixNano())
	}
	_ = w.rc.SetWriteDeadline(at)
}

// instead answers that there is too much under way.
func (w *writer) instead() {
	clear(w.Header())
	if w.conn != nil {
		w.conn.late.Store(1)
	}
	_ = w.rc.SetWriteDeadline(time.Now().Add(refusalTime))
	wire.WriteError(w.ResponseWriter, ErrInflight)
	w.status = -1
}

// FlushError implements what [http.ResponseController] looks for.
func (w *writer) FlushError() error {
	w.header()
	w.patience()
	begin := time.Now()
	err := w.rc.Flush()
	w.waited += time.Since(begin)
	return err
}

// finish sends the status of an answer without a body. What is still buffered
// has the last deadline.
func (w *writer) finish() {
	if w.written == 0 && w.failed == nil {
		w.patience()
	}
	w.header()
}

// close has the connection closed behind the answer.
func (w *writer) close() {
	if w.status >= 0 {
		w.Header().Set("Connection", "close")
	}
}
