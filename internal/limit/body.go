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
	bodyStart = 10 * time.Second // for the first bytes, and for all pauses together
	bodyPause = 30 * time.Second // for one pause, however fast the body was before
	bodyRate  = 1 << 10          // bytes a second, at least
	apiBody   = 30 * time.Second // for the whole body, under /api/
	// batchBytes is what a batch counts for: it is processed line by line.
	batchBytes = 256 << 10
)

var errSlowBody = wire.Errorf(http.StatusRequestTimeout, wire.CodeBodyTooSlow,
	"The body came too slowly: send 1 KiB a second at least, and under /api/ all of it within 30 s")

// body is a request's body. It must arrive in time, and its bytes are counted until the
// request is answered.
type body struct {
	io.ReadCloser
	out   *writer
	batch bool

	startedAt time.Time // the first read
	latest    time.Time // when all of it must have arrived; zero: only the rate bounds it
	deadline  time.Time // as set on the connection
	read      int64
	counted   int64
	over      bool
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
	b.setDeadline()
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
	default: // the end: net/http reads on, to see the connection end
		b.over = true
		_ = b.out.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// setDeadline sets the deadline of the next read. Setting it costs more than a small
// read, so it is moved in steps of a second.
func (b *body) setDeadline() {
	now := time.Now()
	if b.startedAt.IsZero() {
		b.startedAt = now
	}
	at := b.startedAt.Add(bodyStart + time.Duration(b.read)*time.Second/bodyRate)
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

// Count counts n more bytes that are held for the request, such as what a body
// decompresses to. The caller must answer with the error.
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
