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

// progressEvery is the pause between two log lines about the progress of a copy.
const progressEvery = 10 * time.Second

// copying reads the events of a source, and logs the progress.
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

// event returns the next event, and io.EOF at the end.
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

// makeSegments makes a log of one process in a folder that does not exist.
func (c *copying) makeSegments(dir string, maxBytes int64) error {
	if err := os.RemoveAll(dir); err != nil { // a killed process may have left it
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

// IntoFolder copies a log into a data folder as the log of one process, and makes the folder if it is
// missing. Positions and times stay, and with them the ids of events. If it is interrupted, the
// folder has either its former log or the whole new one. If the folder has a log, replace deletes
// it; otherwise that is an error. maxBytes bounds the log from then on; 0 keeps the former bound, or
// uses that of a new log.
func IntoFolder(ctx context.Context, dir string, from *Source, maxBytes int64, replace bool, log *slog.Logger) (events uint64, err error) {
	f, err := nats.OpenFolder(dir, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if f.HasServerLog() {
		return 0, fmt.Errorf("data folder %s has an event log on NATS: start tidegate serve with it once, which converts the log, or choose another folder", dir)
	}
	if nats.HasOwnLog(dir) && !replace {
		return 0, fmt.Errorf("data folder %s has an event log: give --overwrite to delete it", dir)
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

// sizeOf returns the bytes of the files in a folder.
func sizeOf(dir string) (bytes int64) {
	entries, _ := os.ReadDir(dir) // it exists: we have just made it
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// IntoNATS copies a log into that of a cluster, or of an embedded server in a folder. That log must
// be empty; replace empties it. Positions and times are new, so clients receive a reset. Idempotency
// keys are lost.
func IntoNATS(ctx context.Context, opts nats.Options, from *Source, replace bool, log *slog.Logger) (events uint64, err error) {
	if opts.Dir != "" && nats.HasOwnLog(opts.Dir) {
		return 0, fmt.Errorf("data folder %s has a log of one process: export it, move %s away, and import again", opts.Dir, nats.OwnLogDir(opts.Dir))
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
		err = fmt.Errorf("%w: give --overwrite to delete them", err)
	}
	return uint64(written), err
}

// TakeOver converts the log on NATS in the engine's folder into a log of one process, and deletes the
// one on NATS. Ids, positions and times stay. It does nothing if the folder has a log of one process,
// or none on NATS. If the process is killed meanwhile, the folder has either the log on NATS or the
// whole new one, and the next start goes on from there.
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
	if err := os.RemoveAll(made); err != nil { // before the free space is measured
		return fmt.Errorf("take over the event log: %w", err)
	}
	if err := enoughRoom(e, from); err != nil {
		return err
	}
	log.Info("converting the event log, which an older version kept on NATS", "events", from.Events, "bytes", from.Bytes)
	c := newCopying(ctx, natsSource(e, from), log)
	defer c.stop()
	if err := c.makeSegments(made, maxBytes); err != nil {
		return errors.Join(fmt.Errorf("convert the event log, which stays as it was: %w", err), os.RemoveAll(made))
	}
	if err := e.Adopt(made, from.Generation, from.Last); err != nil {
		return err
	}
	if err := eventlog.Delete(ctx, e); err != nil {
		return err
	}
	log.Info("event log converted", "events", c.count, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// spareRoom is the room that a new log takes besides its events, in bytes.
const spareRoom = 8 << 20

// enoughRoom returns an error if the conversion would fill the disk: both logs exist until the new one
// is complete.
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
