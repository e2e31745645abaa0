package limit

import (
	"net/http"
	"net/netip"
	"time"

	"tidegate/internal/wire"
)

// Bounds of an answer.
const (
	writeTime  = 30 * time.Second // of one write
	answerRate = 16 << 10         // bytes a second that a client must read
	// deadlineSlack is how much earlier than its bound a write may time out.
	deadlineSlack = 3 * time.Second
	// writeBytes bounds what is written with one deadline.
	writeBytes = 64 << 10
)

// writer is the answer to a request. It cuts an answer that the client does not read in
// time, and counts the bytes that wait for the client.
type writer struct {
	http.ResponseWriter
	rc      *http.ResponseController
	limits  *Limits
	address uint64 // hash, see [Limits.hash]
	conn    *Conn  // of HTTP/1.1; nil: not known

	status  int // to be written; 0: none, -1: it was written
	written int64
	waited  time.Duration // time spent waiting for the client
	failed  error
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader stores the status, which is sent with the first bytes. If there is no room
// for these, another status is sent.
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
		if w.status < 0 { // the status was sent
			panic(http.ErrAbortHandler)
		}
		w.rejectLate()
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

// write writes with a deadline. Only the time spent waiting for the client counts, not
// the time in which the handler makes the answer.
func (w *writer) write(p []byte) (int, error) {
	w.setDeadline()
	begin := time.Now()
	n, err := w.ResponseWriter.Write(p)
	w.waited += time.Since(begin)
	w.written += int64(n)
	return n, err
}

// setDeadline sets the deadline of the next write.
func (w *writer) setDeadline() {
	left := writeTime + time.Duration(w.written)*time.Second/answerRate - w.waited
	now := time.Now()
	at := now.Add(min(writeTime, left))
	if w.conn != nil {
		// Setting a deadline costs as much as the rest of a small answer: the deadline
		// of the previous answer is used if it is close enough.
		if was := w.conn.writeDeadline.Load(); was <= at.UnixNano() && was > at.Add(-deadlineSlack).UnixNano() {
			return
		}
		w.conn.writeDeadline.Store(at.UnixNano())
	}
	_ = w.rc.SetWriteDeadline(at)
}

// rejectLate answers with ErrInflight instead of the handler's answer.
func (w *writer) rejectLate() {
	clear(w.Header())
	if w.conn != nil {
		w.conn.writeDeadline.Store(1)
	}
	_ = w.rc.SetWriteDeadline(time.Now().Add(refusalTime))
	wire.WriteError(w.ResponseWriter, ErrInflight)
	w.status = -1
}

// FlushError is for [http.ResponseController].
func (w *writer) FlushError() error {
	w.header()
	w.setDeadline()
	begin := time.Now()
	err := w.rc.Flush()
	w.waited += time.Since(begin)
	return err
}

// finish sends the status of an answer without a body. The last deadline bounds the
// write of what is still buffered.
func (w *writer) finish() {
	if w.written == 0 && w.failed == nil {
		w.setDeadline()
	}
	w.header()
}

// close makes net/http close the connection after the answer.
func (w *writer) close() {
	if w.status >= 0 {
		w.Header().Set("Connection", "close")
	}
}
