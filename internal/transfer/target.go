package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tidegate/internal/archive"
	"tidegate/internal/storage/eventlog"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/segments"
	"tidegate/internal/topic"
)

// progressEvery is how often the log says how far a copy is.
const progressEvery = 10 * time.Second

// copying gives the events of a source to who asks for them, and says how far it is.
type copying struct {
	from  *Source
	log   *slog.Logger
	count uint64
	said  time.Time
	next  func() (archive.Event, error, bool)
	stop  func()
}

func newCopying(ctx context.Context, from *Source, log *slog.Logger) *copying {
	c := &copying{from: from, log: log, said: time.Now()}
	c.next, c.stop = iter.Pull2(from.all(ctx))
	return c
}

// event is the next one; io.EOF at the end.
func (c *copying) event() (archive.Event, error) {
	e, err, more := c.next()
	switch {
	case !more:
		return e, io.EOF
	case err != nil:
		return e, err
	}
	c.count++
	if time.Since(c.said) > progressEvery {
		c.said = time.Now()
		c.log.Info("copying the event log", "events", c.count, "of_about", max(c.from.Events, c.count))
	}
	return e, nil
}

// makeSegments makes a log of one process in a folder that is not there.
func (c *copying) makeSegments(dir string, maxBytes int64) error {
	if err := os.RemoveAll(dir); err != nil { // what a process left that was killed
		return err
	}
	h := c.from.Header
	meta := segments.Meta{Generation: h.Generation, Secret: cmp.Or(h.Secret, segments.NewMeta().Secret)} // older versions had none
	return segments.Import(segments.Options{Dir: dir, MaxBytes: maxBytes, Log: c.log}, meta, h.Last, h.Discarded, func() (segments.Imported, error) {
		e, err := c.event()
		out := segments.Imported{Stored: e.Stored}
		if len(e.KeyID) == len(topic.KeyID(topic.Entry{})) {
			out.Key = new([16]byte([]byte(e.KeyID)))
		}
		return out, err
	})
}

// IntoFolder makes a log the one of one process in a data folder, which is made if it is
// not there. Positions and times stay, and with them the ids of events. Whenever it is
// interrupted, the folder has what it had before, or all of it. What the folder had is
// dropped if replace is true, else it is an error. maxBytes bounds the log from then on; 0
// is what it was, or what a new one has.
func IntoFolder(ctx context.Context, dir string, from *Source, maxBytes int64, replace bool, log *slog.Logger) (events uint64, err error) {
	f, err := nats.OpenFolder(dir, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if f.HasServerLog() {
		return 0, fmt.Errorf("data folder %s has an event log on NATS: start tidegate serve in it once, which takes that over, or choose another folder", dir)
	}
	if nats.HasOwnLog(dir) && !replace {
		return 0, fmt.Errorf("data folder %s has an event log: give --overwrite to drop it", dir)
	}
	c := newCopying(ctx, from, log)
	defer c.stop()
	made := importDir(dir)
	err = c.makeSegments(made, maxBytes)
	if err == nil {
		f.Bound(maxBytes, sizeOf(made))
		err = f.Replace(made)
	}
	if err != nil {
		return c.count, errors.Join(err, os.RemoveAll(made))
	}
	return c.count, nil
}

// sizeOf is what the files in a folder have.
func sizeOf(dir string) (bytes int64) {
	entries, _ := os.ReadDir(dir) // it was made just now
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// IntoNATS writes a log to that of a cluster, or of a server in a folder, which must be
// empty, or is emptied if replace is true. Positions and times are new: clients get a
// reset. Keys are not known any more.
func IntoNATS(ctx context.Context, opts nats.Options, from *Source, replace bool, log *slog.Logger) (events uint64, err error) {
	if opts.Dir != "" && nats.HasOwnLog(opts.Dir) {
		return 0, fmt.Errorf("data folder %s has a log of one process: export that, move %s away, and import then", opts.Dir, nats.OwnLogDir(opts.Dir))
	}
	e, err := nats.Open(ctx, opts)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	if replace {
		if err := eventlog.Empty(ctx, e); err != nil {
			return 0, err
		}
	}
	c := newCopying(ctx, from, log)
	defer c.stop()
	written, err := eventlog.WriteAll(ctx, e, func() (topic.Stored, bool, error) {
		e, err := c.event()
		if errors.Is(err, io.EOF) {
			return topic.Stored{}, false, nil
		}
		return e.Stored, err == nil, err
	})
	if errors.Is(err, eventlog.ErrNotEmpty) {
		err = fmt.Errorf("%w: give --overwrite to drop them", err)
	}
	return uint64(written), err
}

// TakeOver makes the log of one process in the engine's folder from the one on NATS that
// the folder has, and deletes that: ids, positions and times stay. It does nothing if
// there is a log of one process, or none on NATS. A process that is killed meanwhile
// leaves the log on NATS as it was, or the new one whole: the next start begins again,
// or goes on.
func TakeOver(ctx context.Context, e *nats.Engine, log *slog.Logger) error {
	dir := e.LogDir()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	from, ok, err := eventlog.ReadInfo(ctx, e)
	if err != nil || !ok {
		return err
	}
	maxBytes, err := e.LogBytes(from.MaxBytes)
	if err != nil {
		return err
	}
	made, began := importDir(filepath.Dir(dir)), time.Now()
	if err := os.RemoveAll(made); err != nil { // before it is asked what is free
		return fmt.Errorf("take over the event log: %w", err)
	}
	if err := enoughRoom(e, from); err != nil {
		return err
	}
	log.Info("taking over the event log that the version before kept on NATS", "events", from.Events, "bytes", from.Bytes)
	c := newCopying(ctx, natsSource(e, from), log)
	defer c.stop()
	if err := c.makeSegments(made, maxBytes); err != nil {
		return errors.Join(fmt.Errorf("take over the event log, which stays as it was: %w", err), os.RemoveAll(made))
	}
	if err := e.Adopt(made, from.Generation, from.Last); err != nil {
		return err
	}
	if err := eventlog.Delete(ctx, e); err != nil {
		return err
	}
	log.Info("event log taken over", "events", c.count, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// spareRoom is what a log that is made takes besides its events.
const spareRoom = 8 << 20

// enoughRoom refuses to begin what would fill the disk. Both logs are there until the
// new one is whole.
func enoughRoom(e *nats.Engine, from eventlog.Info) error {
	needs := int64(from.Bytes) + spareRoom
	room, known := e.Room()
	if !known || room >= needs {
		return nil
	}
	const mib = 1 << 20
	return fmt.Errorf("take over the event log of the version before: that needs %d MiB on the disk of the data folder for as long as it takes, and %d MiB are free beside what the disk guard keeps: free some space, or run the version before until then",
		needs/mib+1, room/mib)
}
