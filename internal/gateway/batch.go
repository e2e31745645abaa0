package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// maxBatchLines bounds the messages of one request.
const maxBatchLines = 10_000

var errManyLines = wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
	"Too many lines: 10000 messages are the most for one request")

// sendBatch takes one message a line, and answers with one line for each, in order. A
// bad line does not affect the others. If something ends the batch early (too many
// bytes or lines, a broken connection), the last line of the answer says so; the
// messages before it have been delivered.
func (g *Gateway) sendBatch(w http.ResponseWriter, r *http.Request) {
	held := heldBatch{most: min(maxHeld, g.opts.MaxPending/2), topics: g.opts.Topics}
	defer held.flush()
	r.Body = &flushingBody{r.Body, &held}
	body, err := openBody(w, r, g.opts.MaxBatch)
	key, ok := g.headerKey(w, r, err)
	if !ok {
		return
	}
	in := requestBuffers.Get().(*requestBuffer)
	defer in.putBack()
	lines := lineReader{in: bufio.NewReaderSize(body, 64<<10), most: int(g.opts.MaxBody), key: key}
	answers := g.takeLines(r.Context(), in, &lines, &held)
	w.Header().Set("Content-Type", typeNDJSON)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(answers)
}

// takeLines delivers all messages of a batch and returns their answers.
func (g *Gateway) takeLines(ctx context.Context, in *requestBuffer, lines *lineReader, held *heldBatch) []byte {
	answers := in.body.AvailableBuffer()
	take := func(line []byte) {
		m, err := lines.parse(&in.parser, line)
		answer, err := g.deliver(ctx, held.batch(len(line)), m, err, line)
		answers = append(batchAnswer(answer, err).AppendJSON(answers), '\n')
	}
	refuse := func(err error) {
		g.metrics.sent("", err)
		answers = append(batchAnswer(wire.SendAnswer{}, err).AppendJSON(answers), '\n')
	}
	finish := func() { held.flush() }
	if g.opts.Topics.Durable() {
		p := newPipeline(ctx, g, held)
		take = func(line []byte) {
			m, err := lines.parse(&in.parser, line)
			p.take(m, err, line)
		}
		refuse = func(err error) {
			g.metrics.sent("", err)
			p.put(wire.SendAnswer{}, err)
		}
		finish = func() { answers = p.answers(answers) }
	}
	for n := 0; ; n++ {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n == maxBatchLines {
			err = errManyLines
		}
		if err == nil {
			take(line)
			continue
		}
		if refuse(err); lines.over || errors.Is(err, errManyLines) {
			break
		}
	}
	finish()
	return answers
}

// heldBatch holds back what the messages of one request write to streams, up to a
// bound, so that it leaves in few writes. A stream that something is held for receives
// nothing from other requests meanwhile.
type heldBatch struct {
	topics *topic.Hub
	most   int64
	b      *stream.Batch
	bytes  int64
	idle   func() (over func()) // called before the body is read further, and over after it; nil: nothing is
}

// maxHeld bounds the bytes of messages that are held back.
const maxHeld = 256 << 10

// batch returns the batch for the next message, which has n bytes.
func (h *heldBatch) batch(n int) *stream.Batch {
	if h.bytes += int64(n); h.bytes > h.most {
		h.flush()
		h.bytes = int64(n)
	}
	if h.b == nil {
		h.b = stream.NewBatch().Hold()
	}
	return h.b
}

func (h *heldBatch) flush() {
	if h.b != nil {
		h.b.Flush()
		h.topics.StartFanOut()
	}
	h.b = nil
}

// flushingBody is the body of a batch. Its sender may pause: before each read from the
// network, what is held is written.
type flushingBody struct {
	io.ReadCloser
	held *heldBatch
}

func (f *flushingBody) Read(p []byte) (int, error) {
	f.held.flush()
	if f.held.idle != nil {
		defer f.held.idle()()
	}
	return f.ReadCloser.Read(p)
}

func batchAnswer(answer wire.SendAnswer, err error) wire.SendAnswer {
	if err != nil {
		e := wire.ErrorOf(err)
		return wire.SendAnswer{Code: e.Status, Error: e}
	}
	answer.Code = http.StatusOK
	return answer
}

// lineReader reads lines of at most most bytes, and skips blank ones.
type lineReader struct {
	in   *bufio.Reader
	most int
	key  string // of the request; each line's key is derived from it
	line []byte
	over bool // nothing more can be read
	n    int  // of the line, from 1 on; blank ones do not count
}

// parse reads the message of a line that next has returned.
func (l *lineReader) parse(parser *wire.Parser, line []byte) (wire.Message, error) {
	m, err := parser.Parse(line)
	if err == nil {
		err = m.SetLineKey(l.key, l.n)
	}
	return m, err
}

// next returns the next line, valid until the following call. For a line that is too
// long it returns errTooLarge, and at the end of the body io.EOF.
func (l *lineReader) next() ([]byte, error) {
	for {
		l.line = l.line[:0]
		long := false
		var err error
		for more := true; more; {
			var part []byte
			part, err = l.in.ReadSlice('\n')
			more = errors.Is(err, bufio.ErrBufferFull)
			if long = long || len(l.line)+len(part) > l.most+1; !long {
				l.line = append(l.line, part...)
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			l.over = true
			return nil, bodyError(err)
		}
		line := bytes.TrimSpace(l.line)
		switch {
		case long:
			l.n++
			return nil, errTooLarge
		case len(line) > 0:
			l.n++
			return line, nil
		case err != nil:
			return nil, io.EOF
		}
	}
}
