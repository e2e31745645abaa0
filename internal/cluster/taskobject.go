package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxChunk bounds the messages that an object consists of; a server may take less.
const maxChunk = 128 << 10

// putObjects stores the parts that are not there yet.
func (t *Tasks) putObjects(ctx context.Context, objects []taskObject, there taskParts) error {
	for _, o := range objects {
		if o.name == there.Params || o.name == there.Result || o.name == there.Error {
			continue
		}
		if err := t.upload(ctx, o.name, len(o.data), bytes.NewReader(o.data)); err != nil {
			return fmt.Errorf("store %d bytes of a task: %w", len(o.data), err)
		}
	}
	return nil
}

// upload stores an object. The client library takes away what it has stored of one
// that is broken off, but in a context that must be alive then: so what ends first
// is the reader.
func (t *Tasks) upload(ctx context.Context, name string, size int, r io.Reader) error {
	ctx, cancel, err := t.boundedFor(ctx, size)
	if err != nil {
		return err
	}
	defer cancel()
	alive, end := outlive(ctx, t.opts.Timeout)
	defer end()
	chunk := uint32(min(maxChunk, t.e.nc.MaxPayload()))
	_, err = t.results.Put(alive, jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}, &breakable{ctx, r})
	return err
}

// outlive returns a context that ends the given time after ctx, which has a deadline.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	alive, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline.Add(d))
	stop := context.AfterFunc(ctx, func() { // cancel ends it
		pauseFor(alive, d)
		cancel()
	})
	return alive, func() {
		stop()
		cancel()
	}
}

// breakable is a reader whose source ends when ctx does.
type breakable struct {
	ctx    context.Context
	source io.Reader
}

func (b *breakable) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.source.Read(p)
}

// download returns an object; nil if it is gone, or name is "".
func (t *Tasks) download(ctx context.Context, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	look, cancel, err := t.bounded(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	info, err := t.results.GetInfo(look, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		t.log.Error("part of a task is gone", "object", name)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel, err = t.boundedFor(ctx, int(info.Size))
	if err != nil {
		return nil, err
	}
	defer cancel()
	return t.results.GetBytes(ctx, name)
}

// dropObjects deletes objects that no record refers to any more. What it misses
// the sweeper finds.
func (t *Tasks) dropObjects(ctx context.Context, parts, kept taskParts) {
	for _, name := range parts.names() {
		if name == kept.Params || name == kept.Result || name == kept.Error {
			continue
		}
		if err := t.results.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			t.log.Debug("part of a task not deleted yet", "object", name, "error", err)
		}
	}
}
