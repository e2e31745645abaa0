package taskstore

import (
	"context"
	"errors"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/task"
)

var _ task.ResultOpener = (*Store)(nil)

// OpenResult implements [task.ResultOpener].
func (t *Store) OpenResult(ctx context.Context, id string) (task.Record, *task.Result, error) {
	rec, parts, err := t.record(ctx, id)
	if err != nil {
		return rec, nil, err
	}
	text, err := t.download(ctx, parts.Error)
	if err != nil {
		return rec, nil, unavailable("load task", err)
	}
	if text != nil {
		rec.Error = string(text)
	}
	if parts.Result == "" {
		return rec, nil, nil
	}
	look, cancel, err := t.bounded(ctx)
	if err != nil {
		return rec, nil, err
	}
	defer cancel()
	info, err := t.results.GetInfo(look, parts.Result)
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound):
		t.log.Error("part of a task is gone", "object", parts.Result)
		return rec, nil, nil
	case err != nil:
		return rec, nil, unavailable("load task", err)
	}
	stream, err := t.objects(look)
	if err != nil {
		return rec, nil, err
	}
	r := &chunkReader{ctx: ctx, tasks: t, stream: stream, subject: t.chunkSubject(info.NUID), chunks: info.Chunks}
	return rec, &task.Result{Reader: r, Size: int64(info.Size)}, nil
}

// chunkReader reads an object, one chunk at a time. Between reads it keeps only the rest of
// one.
type chunkReader struct {
	ctx     context.Context // of the reader
	tasks   *Store
	stream  jetstream.Stream
	subject string
	after   uint64 // position of the last message
	chunks  uint32 // yet to come
	rest    []byte
}

// Read implements [io.Reader].
func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.chunks == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *chunkReader) next() error {
	ctx, cancel, err := r.tasks.boundedFor(r.ctx, maxChunk)
	if err != nil {
		return err
	}
	defer cancel()
	m, err := r.stream.GetMsg(ctx, r.after+1, jetstream.WithGetMsgSubject(r.subject))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // deleted meanwhile
		return io.ErrUnexpectedEOF
	case err != nil:
		return unavailable("read a part of a task", err)
	}
	r.after, r.rest = m.Sequence, m.Data
	r.chunks--
	return nil
}
