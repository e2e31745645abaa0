package segments

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Exporter reads a whole log that no process has open. It changes nothing. Close ends it.
type Exporter struct {
	Meta      Meta
	Last      uint64 // the newest position that was used
	Discarded uint64 // below it events may have been dropped for want of room, or lost
	Events    int
	Bytes     int64
	Damage    []Damage // its events are not exported

	log *Log
}

// OpenToExport opens the log in a folder for an export.
func OpenToExport(opts Options) (*Exporter, error) {
	l, b, err := openToRead(opts)
	if err != nil {
		return nil, err
	}
	x := &Exporter{Meta: l.meta, Last: l.next - 1, Discarded: l.floors.discarded, Events: l.index.events, log: l}
	for _, d := range b.Damage {
		if !d.Harmless {
			x.Damage = append(x.Damage, d)
		}
	}
	for _, s := range l.segments.list {
		x.Bytes += s.size
	}
	return x, nil
}

// Close closes the files.
func (x *Exporter) Close() { x.log.abort() }

// Each passes all events to take that are in the index and have not expired, oldest first. It
// leaves out those whose files are damaged. It returns the first error of take.
func (x *Exporter) Each(ctx context.Context, take func(Imported) error) error {
	type entry struct {
		place
		topic *topicIndex
	}
	l := x.log
	all := make([]entry, 0, l.index.events)
	for _, t := range l.index.order {
		for _, p := range t.places {
			all = append(all, entry{p, t})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	var r reader
	now := l.opts.now().UnixNano()
	for _, e := range all {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		v, err := r.event(l.segments.of(e.place), e.place, e.topic.name)
		switch {
		case errors.Is(err, errDamaged):
			continue
		case err != nil:
			return err
		case v.expired(now):
			continue
		}
		out := Imported{Stored: v.stored(e.topic.name)}
		if v.key != nil {
			out.Key = new(keyID(v.key))
		}
		if err := take(out); err != nil {
			return err
		}
	}
	return nil
}
