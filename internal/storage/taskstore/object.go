package taskstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
)

// maxChunk bounds the messages that an object consists of; a server may take less.
const maxChunk = 128 << 10

// putObjects stores the parts that are not there yet.
func (t *Store) putObjects(ctx context.Context, objects []taskObject, there taskParts) error {
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

// upload stores an object as every client of the object store does. First come its chunks, then
// a message that names them and replaces the former one. If it fails it deletes the chunks.
// The client library would do that with the caller's context, which may have ended, and
// leave goroutines behind.
func (t *Store) upload(ctx context.Context, name string, size int, r io.Reader) error {
	during, cancel, err := t.boundedFor(ctx, size)
	if err != nil {
		return err
	}
	defer cancel()
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name},
		Bucket:     t.e.StreamName("RESULTS"), NUID: rand.Text(),
	}
	stored := false // or perhaps: then its chunks must stay
	defer func() {
		if !stored {
			t.dropChunks(ctx, info.NUID)
		}
	}()
	if err := t.putChunks(during, &info, r); err != nil {
		return err
	}
	before, err := t.results.GetInfo(during, name, jetstream.GetObjectInfoShowDeleted())
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	m := natsgo.NewMsg(t.nameSubject(name))
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	if m.Data, err = json.Marshal(info); err != nil {
		return fmt.Errorf("encode the name of an object: %w", err)
	}
	_, err = t.e.JetStream().PublishMsg(during, m)
	stored = nats.APIError(err).ErrorCode == 0
	if err == nil && before != nil {
		t.dropChunks(ctx, before.NUID)
	}
	return err
}

// putChunks stores the chunks of an object, and notes their number, size and digest in info.
func (t *Store) putChunks(ctx context.Context, info *jetstream.ObjectInfo, r io.Reader) error {
	chunk := make([]byte, min(maxChunk, t.e.Conn().MaxPayload()))
	sum := sha256.New()
	for {
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			sum.Write(chunk[:n])
			info.Size += uint64(n)
			info.Chunks++
			if _, err := t.e.JetStream().Publish(ctx, t.chunkSubject(info.NUID), chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			info.Digest = jetstream.GetObjectDigestValue(sum)
			return nil
		case err != nil:
			return err
		}
	}
}

// dropChunks deletes chunks that have no name, also if ctx has ended. The sweeper finds what it
// misses.
func (t *Store) dropChunks(ctx context.Context, nuid string) {
	if err := t.purgeChunks(context.WithoutCancel(ctx), nuid); err != nil {
		t.log.Debug("chunks of a part of a task not deleted yet", "object", nuid, "error", err)
	}
}

func (t *Store) purgeChunks(ctx context.Context, nuid string) error {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	stream, err := t.objects(ctx)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(t.chunkSubject(nuid)))
	}
	if err != nil {
		return unavailable("delete a part of a task", err)
	}
	return nil
}

// download returns an object; nil if it is gone, or name is "".
func (t *Store) download(ctx context.Context, name string) ([]byte, error) {
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

// dropObjects deletes objects that no record refers to any more, also if ctx has ended. The
// sweeper finds what it misses.
func (t *Store) dropObjects(ctx context.Context, parts, kept taskParts) {
	for _, name := range parts.names() {
		if name == kept.Params || name == kept.Result || name == kept.Error {
			continue
		}
		if err := t.deleteObject(context.WithoutCancel(ctx), name, 0); err != nil {
			t.log.Debug("part of a task not deleted yet", "object", name, "error", err)
		}
	}
}

// deleteObject deletes an object that is older than age: first the message that names it, so
// that nobody reads half of it, then its chunks. The client library would leave a message
// that marks it as deleted for ever.
func (t *Store) deleteObject(ctx context.Context, name string, age time.Duration) error {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	stream, err := t.objects(ctx)
	if err != nil {
		return err
	}
	m, err := stream.GetLastMsgForSubject(ctx, t.nameSubject(name))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return unavailable("look at a part of a task", err)
	case time.Since(m.Time) < age:
		return nil
	}
	if err := deleteMessage(ctx, stream, m.Sequence); err != nil {
		return unavailable("delete a part of a task", err)
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil || info.NUID == "" {
		return nil // the sweeper finds its chunks
	}
	return t.purgeChunks(ctx, info.NUID)
}

// objectStreams is what the name of the stream of an object store begins with.
const objectStreams = "OBJ_"

// objects returns the stream of the object store.
func (t *Store) objects(ctx context.Context) (jetstream.Stream, error) {
	t.mu.Lock()
	s := t.objectStream
	t.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := t.e.JetStream().Stream(ctx, objectStreams+t.e.StreamName("RESULTS"))
	if err != nil {
		return nil, unavailable("look at the parts of tasks", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objectStream = s
	return s, nil
}

// Subjects of that stream, as in every client: nameSubject has the message that names an
// object, chunkSubject its chunks.
func (t *Store) nameSubject(name string) string {
	return t.objectSubject("M", base64.URLEncoding.EncodeToString([]byte(name)))
}

func (t *Store) chunkSubject(nuid string) string { return t.objectSubject("C", nuid) }

func (t *Store) objectSubject(kind, token string) string {
	return "$O." + t.e.StreamName("RESULTS") + "." + kind + "." + token
}
