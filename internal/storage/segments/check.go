package segments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"tidegate/internal/topic"
)

// Report is what a check found in a folder.
type Report struct {
	Generation string        `json:"generation,omitempty"`
	Segments   []SegmentInfo `json:"segments"`
	First      uint64        `json:"first_position"`
	Last       uint64        `json:"last_position"`
	Bytes      int64         `json:"bytes"`
	Events     int           `json:"events"`
	Topics     []TopicInfo   `json:"topics"`
	Discarded  uint64        `json:"discarded_below,omitempty"`
	Damage     []Damage      `json:"damage"`
	Places     int           `json:"damaged_places"` // more than Damage has, if there are very many
}

// SegmentInfo is one file.
type SegmentInfo struct {
	File   string `json:"file"`
	Base   uint64 `json:"first_position"`
	Last   uint64 `json:"last_position"`
	Bytes  int64  `json:"bytes"`
	Events int    `json:"events"` // that are in the index
}

// TopicInfo is what is there of one topic.
type TopicInfo struct {
	Topic  string    `json:"topic"`
	Events int       `json:"events"`
	First  uint64    `json:"first_position"`
	Last   uint64    `json:"last_position"`
	At     time.Time `json:"at"`             // of the newest
	Hole   uint64    `json:"hole,omitempty"` // up to here events may be missing
}

// Damaged reports whether anything is missing or wrong.
func (r *Report) Damaged() bool {
	return slices.ContainsFunc(r.Damage, func(d Damage) bool { return !d.Harmless })
}

// Check reads all of the log in a folder and reports what is there and what is damaged. It
// changes nothing. No process may have the log open meanwhile: unfinished writes would look
// like damage.
func Check(ctx context.Context, opts Options) (*Report, error) {
	l, b, err := openToRead(opts)
	if err != nil {
		return nil, err
	}
	defer l.abort()
	r := &Report{Generation: l.meta.Generation, Last: l.next - 1, Events: l.index.events, Discarded: l.floors.discarded, Damage: b.Damage, Places: int(l.stats.Damaged)}
	for i, s := range l.segments.list {
		if i == 0 {
			r.First = s.base
		}
		r.Bytes += s.size
		r.Segments = append(r.Segments, SegmentInfo{File: s.path, Base: s.base, Last: s.last, Bytes: s.size, Events: s.live})
	}
	for _, t := range l.index.order {
		info, err := l.topicInfo(ctx, t)
		if err != nil {
			return nil, err
		}
		r.Topics = append(r.Topics, info)
	}
	slices.SortFunc(r.Topics, func(a, b TopicInfo) int { return cmp.Compare(a.Topic, b.Topic) })
	return r, nil
}

// topicInfo describes one topic, and checks that its events follow each other.
func (l *Log) topicInfo(ctx context.Context, t *topicIndex) (TopicInfo, error) {
	info := TopicInfo{Topic: t.name, Events: len(t.places), Hole: t.hole}
	var before uint64
	err := l.Read(ctx, t.name, 1, math.MaxUint64, func(e topic.Stored) error {
		if before > 0 && e.PrevKnown && e.Prev > max(before, e.DeletedTo) {
			info.Hole = max(info.Hole, e.Prev)
		}
		if info.First == 0 {
			info.First = e.Seq
		}
		before, info.Last, info.At = e.Seq, e.Seq, time.Unix(0, e.At)
		return nil
	})
	return info, err
}

// Dump gives all events of the log in a folder that count, topic by topic, or those of
// one topic. Like Check it changes nothing.
func Dump(ctx context.Context, opts Options, only string, yield func(topic.Stored) error) error {
	l, _, err := openToRead(opts)
	if err != nil {
		return err
	}
	defer l.abort()
	names := []string{only}
	if only == "" {
		names = names[:0]
		for _, t := range l.index.order {
			names = append(names, t.name)
		}
		slices.Sort(names)
	}
	for _, name := range names {
		if err := l.Read(ctx, name, 1, math.MaxUint64, yield); err != nil {
			return err
		}
	}
	return nil
}

// openToRead makes the index and changes nothing.
func openToRead(opts Options) (*Log, *rebuild, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	l := newLog(opts)
	l.readOnly = true
	names, err := segmentNames(l.fs, opts.Dir, false)
	if err != nil {
		return nil, nil, err
	}
	head, headOK := readHead(l.fs, opts.Dir)
	b := &rebuild{l: l, now: opts.now().UnixNano(), head: head, noHead: !headOK, buffer: make([]byte, 0, scanBuffer)}
	l.meta, err = readMeta(l.fs, opts.Dir)
	switch {
	case err != nil && len(names) == 0 && !headOK:
		return nil, nil, fmt.Errorf("%s has no event log: %w", opts.Dir, errors.Join(err, fs.ErrNotExist))
	case errors.Is(err, errVersion):
		return nil, nil, err
	case err != nil:
		b.note(Damage{File: metaPath(opts.Dir), What: err.Error() + ": ids of before do not count any more"})
		l.meta.Salt, _ = l.saltOf(names)
	}
	if !headOK {
		b.note(Damage{File: opts.Dir + "/" + headName, What: "where the log ended is not known any more: ids of before do not count"})
	}
	if err := b.run(); err != nil {
		l.abort()
		return nil, nil, err
	}
	return l, b, nil
}
