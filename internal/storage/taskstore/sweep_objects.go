package taskstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/task"
)

// sweepObjects deletes objects of records that are gone or were never written, and chunks of
// objects that were stored or deleted half-way. It does nothing while the list may lack
// records.
func (t *Store) sweepObjects(ctx context.Context) error {
	used, whole := t.list.objects()
	if !whole {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*t.opts.Timeout)
	defer cancel()
	stream, err := t.objects(ctx)
	if err != nil {
		return err
	}
	// Before the names: chunks that get a name meanwhile are not unnamed.
	chunks, err := stream.Info(ctx, jetstream.WithSubjectFilter(t.chunkSubject(">")))
	if err != nil {
		return unavailable("list parts of tasks", err)
	}
	objects, err := t.listObjects(ctx, stream)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, o := range objects {
		named[t.chunkSubject(o.NUID)] = true
		if used[o.Name] || time.Since(o.ModTime) < t.objectAge {
			continue
		}
		if err := t.sweepObject(ctx, o.Name); err != nil {
			return err
		}
	}
	for subject := range chunks.State.Subjects {
		if named[subject] {
			continue
		}
		if err := t.sweepChunks(ctx, stream, subject); err != nil {
			return err
		}
	}
	return nil
}

// listObjects returns all objects, also those that are marked as deleted. The list of the
// client library may lack an object that is overwritten meanwhile, since the server reports
// too early that none is pending. And it never ends if the last one is deleted meanwhile. So
// it has a bound of its own, and objects that it lacks are looked up.
func (t *Store) listObjects(ctx context.Context, stream jetstream.Stream) ([]*jetstream.ObjectInfo, error) {
	names, err := stream.Info(ctx, jetstream.WithSubjectFilter(t.objectSubject("M", ">")))
	if err != nil {
		return nil, unavailable("list parts of tasks", err)
	}
	if len(names.State.Subjects) == 0 {
		return nil, nil
	}
	listing, cancel := context.WithTimeout(ctx, t.opts.Timeout)
	defer cancel()
	objects, err := t.results.List(listing, jetstream.ListObjectsShowDeleted())
	if err != nil {
		t.log.Debug("parts of tasks are looked up one by one", "parts", len(names.State.Subjects), "error", err)
	}
	for _, o := range objects {
		delete(names.State.Subjects, t.nameSubject(o.Name))
	}
	for subject := range names.State.Subjects {
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, unavailable("list parts of tasks", err)
		}
		o := &jetstream.ObjectInfo{}
		if err := json.Unmarshal(m.Data, o); err != nil {
			return nil, unavailable("list parts of tasks", err)
		}
		o.ModTime = m.Time
		objects = append(objects, o)
	}
	return objects, nil
}

// sweepObject deletes an object that belongs to no record. It reads the record itself: the list
// may be behind.
func (t *Store) sweepObject(ctx context.Context, name string) error {
	id, _, _ := strings.Cut(name, ".")
	_, parts, err := t.record(ctx, id)
	switch {
	case errors.Is(err, task.ErrUnavailable):
		return err
	case err != nil && !errors.Is(err, task.ErrNotFound), slices.Contains(parts.names(), name):
		return nil // a record that cannot be read may refer to it
	}
	return t.deleteObject(ctx, name, t.objectAge)
}

// sweepChunks deletes chunks without a name, unless they may be about to get one.
func (t *Store) sweepChunks(ctx context.Context, stream jetstream.Stream, subject string) error {
	last, err := stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return unavailable("look at chunks of parts of tasks", err)
	case time.Since(last.Time) < t.objectAge:
		return nil
	}
	t.log.Warn("chunks of a part of a task are deleted: it was stored or deleted half-way", "subject", subject)
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(last.Sequence+1)); err != nil {
		return unavailable("delete chunks of parts of tasks", err)
	}
	return nil
}
