package limit

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"tidegate/internal/wire"
)

// Bounds of a request's body.
const (
	bodyStart = 10 * time.Second // for its first bytes, and for pauses in all
	bodyPause = 30 * time.Second // for one pause, however fast it came before
	bodyRate  = 1 << 10          // bytes a second that it has to come at
	apiBody   = 30 * time.Second // for all of it, under /api/
	// batchBytes is what a batch counts for: it is taken line by line.
	batchBytes = 256 << 10
)

var errSlowBody = wire.Errorf(http.StatusRequestTimeout, wire.CodeBodyTooSlow,
	"The body came too slowly: it has to come at 1 KiB a second, and under /api/ within 30 s")

// body is a request's body: it has to come in time, and its bytes are counted
// until the request has been answered.
type body struct {
	io.ReadCloser
	out   *writer
	batch bool

	begun    time.Time // when it was first read
	latest   time.Time // it must have come by then; zero: no bound but the rate
	deadline time.Time // that is set
	read     int64
	counted  int64
	over     bool
}

func newBody(r *http.Request, out *writer) *body {
	b := &body{ReadCloser: r.Body, out: out, batch: strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-ndjson")}
	if len(r.URL.Path) >= 5 && strings.EqualFold(r.URL.Path[:5], "/api/") {
		b.latest = time.Now().Add(apiBody)
	}
	return b
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return b.ReadCloser.Read(p)
	}
	b.patience()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if b.batch {
		if countErr := b.Count(batchBytes - b.counted); countErr != nil {
			return 0, countErr
		}
	} else if countErr := b.Count(int64(n)); countErr != nil {
		return 0, countErr
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.out.limits.refuse(errSlowBody, netip.Addr{})
		err = errSlowBody
		b.out.close()
	default: // the end: net/http goes on listening for one of the connection
		b.over = true
		_ = b.out.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patience sets the time by which the next bytes must be there. Setting it costs
// more than a small read, so it is moved in steps.
func (b *body) patience() {
	now := time.Now()
	if b.begun.IsZero() {
		b.begun = now
	}
	at := b.begun.Add(bodyStart + time.Duration(b.read)*time.Second/bodyRate)
	if pause := now.Add(bodyPause); at.After(pause) {
		at = pause
	}
	if !b.latest.IsZero() && at.After(b.latest) {
		at = b.latest
	}
	if at.Sub(b.deadline) >= time.Second {
		b.deadline = at
		_ = b.out.rc.SetReadDeadline(at)
	}
}

// Count counts n bytes more that are held for the request, such as what a body
// unpacks to. The error has to be answered with.
func (b *body) Count(n int64) error {
	if n <= 0 {
		return nil
	}
	if !b.out.limits.bytes.add(b.out.address, n) {
		b.out.close()
		return b.out.limits.refuse(ErrInflight, netip.Addr{})
	}
	b.counted += n
	return nil
}

func (b *body) release() { b.out.limits.bytes.remove(b.out.address, b.counted) }
