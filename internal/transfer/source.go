// Package transfer moves event logs: from one kind of storage to another, into archives and out of
// them. No process may write to a log while it is moved.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"

	"tidegate/internal/archive"
	"tidegate/internal/storage/eventlog"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/segments"
	"tidegate/internal/topic"
)

// Source is a log to be read as a whole. Close it after use.
type Source struct {
	Header  archive.Header
	Events  uint64   // about how many there are
	Bytes   uint64   // of the events
	Missing []string // damaged places, whose events are missing

	each func(ctx context.Context, take func(archive.Event) error) error
	shut func()
}

// Each calls take with all events, oldest first. It stops at an error of take and returns it.
func (s *Source) Each(ctx context.Context, take func(archive.Event) error) error {
	return s.each(ctx, take)
}

// Close frees what the source has open.
func (s *Source) Close() {
	if s.shut != nil {
		s.shut()
	}
}

// all is Each as an iterator.
func (s *Source) all(ctx context.Context) iter.Seq2[archive.Event, error] {
	return func(yield func(archive.Event, error) bool) {
		errEnough := errors.New("enough")
		err := s.each(ctx, func(e archive.Event) error {
			if !yield(e, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(archive.Event{}, err)
		}
	}
}

// ErrNoLog says that there is no event log.
var ErrNoLog = errors.New("there is no event log in it; give the folder of --data")

// OpenFolder opens the log of a data folder that no process has open: the log of one process, or the
// one on NATS that older versions and --nats-listen make.
func OpenFolder(ctx context.Context, dir string, log *slog.Logger) (*Source, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if nats.HasOwnLog(dir) {
		return openSegments(dir, nats.OwnLogDir(dir), log)
	}
	if isLog(dir) { // a copy
		return openSegments(dir, dir, log)
	}
	if !nats.HasServer(dir) {
		return nil, fmt.Errorf("data folder %s: %w", dir, ErrNoLog)
	}
	return OpenNATS(ctx, nats.Options{Dir: dir, Command: "storage", Log: log})
}

func openSegments(dir, own string, log *slog.Logger) (*Source, error) {
	release, err := nats.HoldFolder(dir)
	if err != nil {
		return nil, err
	}
	x, err := segments.OpenToExport(segments.Options{Dir: own, Log: log})
	if err != nil {
		release()
		return nil, err
	}
	s := &Source{
		Header: archive.Header{Generation: x.Meta.Generation, Secret: x.Meta.Secret, Last: x.Last, Discarded: x.Discarded},
		Events: uint64(x.Events), Bytes: uint64(x.Bytes),
		each: func(ctx context.Context, take func(archive.Event) error) error {
			return x.Each(ctx, func(e segments.Imported) error {
				out := archive.Event{Stored: e.Stored}
				if e.Key != nil {
					out.KeyID = string(e.Key[:])
				}
				return take(out)
			})
		},
		shut: func() { x.Close(); release() },
	}
	for _, d := range x.Damage {
		s.Missing = append(s.Missing, DamageText(d))
	}
	return s, nil
}

// DamageText describes a damaged place for people.
func DamageText(d segments.Damage) string {
	text := d.File
	if d.To > 0 {
		text += fmt.Sprintf(", bytes %d to %d", d.From, d.To)
	}
	text += ": " + d.What
	if d.ToSeq > 0 {
		text += fmt.Sprintf("; events at positions %d to %d are missing", d.FromSeq, d.ToSeq)
	}
	return text
}

// OpenNATS opens the log of an external cluster, which processes may use meanwhile, or of an embedded
// server in a folder.
func OpenNATS(ctx context.Context, opts nats.Options) (*Source, error) {
	e, err := nats.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	from, ok, err := eventlog.ReadInfo(ctx, e)
	if err == nil && !ok {
		err = ErrNoLog
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	s := natsSource(e, from)
	s.shut = e.Close
	return s, nil
}

func natsSource(e *nats.Engine, from eventlog.Info) *Source {
	return &Source{
		Header: archive.Header{Generation: from.Generation, Secret: from.Secret, Last: from.Last, Discarded: from.Discarded},
		Events: from.Events, Bytes: from.Bytes,
		each: func(ctx context.Context, take func(archive.Event) error) error {
			_, err := eventlog.ReadAll(ctx, e, from.Last, func(s topic.Stored, key string) error {
				return take(archive.Event{Stored: s, KeyID: key})
			})
			return err
		},
	}
}

// FromArchive opens an archive.
func FromArchive(in io.Reader) (*Source, error) {
	r, err := archive.NewReader(in)
	if err != nil {
		return nil, err
	}
	return &Source{Header: r.Header(), each: func(ctx context.Context, take func(archive.Event) error) error {
		for {
			e, err := r.Next()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			}
			if err := take(e); err != nil {
				return err
			}
		}
	}}, nil
}

// WriteArchive writes the whole log.
func (s *Source) WriteArchive(ctx context.Context, out io.Writer) (events uint64, err error) {
	w, err := archive.NewWriter(out, s.Header)
	if err == nil {
		err = s.each(ctx, w.Write)
	}
	if err != nil {
		return 0, err
	}
	return w.Events(), w.Close()
}

// importDir is the folder of a log that is not complete yet.
func importDir(dir string) string { return filepath.Join(dir, "log.import") }
