package segments

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sync/semaphore"
)

// Open opens the log in a folder, or makes one. It makes the index from the files; a
// million events take about half a second. What it finds to be damaged is logged, and
// is a hole. The error says what is in the way: the folder cannot be read or written,
// or was written by another version.
func Open(ctx context.Context, opts Options) (*Log, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	l := newLog(opts)
	if err := l.open(ctx); err != nil {
		l.abort()
		return nil, fmt.Errorf("event log in %s: %w", opts.Dir, err)
	}
	return l, nil
}

func newLog(opts Options) *Log {
	l := &Log{
		opts: opts, fs: opts.FS, log: opts.Log.With("component", "log"),
		room:  semaphore.NewWeighted(opts.MaxWaiting),
		begun: make(chan struct{}), wake: make(chan struct{}, 1),
		trims: make(map[string]uint64), next: 1,
	}
	l.index.init()
	l.segments.init()
	l.keys.init(opts.MaxKeys)
	return l
}

func (l *Log) open(ctx context.Context) error {
	if err := l.fs.MkdirAll(l.opts.Dir); err != nil {
		return err
	}
	names, err := segmentNames(l.fs, l.opts.Dir, true)
	if err != nil {
		return err
	}
	head, headOK := readHead(l.fs, l.opts.Dir)
	meta, err := readMeta(l.fs, l.opts.Dir)
	switch {
	case errors.Is(err, errVersion):
		return err
	case err != nil && len(names) == 0 && !headOK && errors.Is(err, errNoMeta): // a new one
		meta = NewMeta()
	case err != nil: // ids from before cannot be recognised
		l.log.Error("the event log has lost what its ids begin with: ids of before do not count any more", "error", err)
		meta = NewMeta()
		if salt, ok := l.saltOf(names); ok {
			meta.Salt = salt
		}
		l.stats.Damaged++
	case l.opts.Redraw || !headOK:
		if !headOK {
			l.log.Error("the event log does not know any more where it ended: ids of before do not count", "missing", headName)
			l.stats.Damaged++
		}
		meta.Generation = newGeneration()
	}
	l.meta = meta
	b := &rebuild{l: l, now: l.opts.now().UnixNano(), head: head, noHead: !headOK, buffer: make([]byte, 0, scanBuffer)}
	if err := b.run(); err != nil {
		return err
	}
	b.report()
	return l.repair(ctx, err != nil || l.opts.Redraw || !headOK)
}

// saltOf finds the salt in the header of a segment.
func (l *Log) saltOf(names []string) (uint32, bool) {
	for _, name := range names {
		b, err := readFile(l.fs, segmentPath(l.opts.Dir, name), segmentHeader)
		if err != nil {
			continue
		}
		if h, err := parseHeader(b); err == nil {
			return h.salt, true
		}
	}
	return 0, false
}

// report logs what is damaged.
func (b *rebuild) report() {
	said := 0
	for _, d := range b.Damage {
		if d.Harmless {
			b.l.log.Info("event log", "file", d.File, "from", d.From, "to", d.To, "note", d.What)
			continue
		}
		if said++; said <= 10 {
			b.l.log.Error("the event log is damaged: clients that may need what is missing get a reset", "file", d.File, "from", d.From, "to", d.To,
				"what", d.What, "missing_from", d.FromSeq, "missing_to", d.ToSeq)
		}
	}
	if said > 10 {
		b.l.log.Error("the event log is damaged in more places", "places", said-10)
	}
}

// repair brings the files in line with the index. It truncates the rest of an unfinished
// write, opens a segment to append to, and syncs the generation of ids.
func (l *Log) repair(_ context.Context, anew bool) error {
	if s := l.segments.active(); s != nil {
		size, err := s.file.Size()
		if err == nil && size > s.size && !(l.opts.Power && size <= l.opts.segmentSize) {
			err = s.file.Truncate(s.size)
		}
		if err != nil {
			return err
		}
	}
	if l.segments.active() == nil {
		// Where there is no room, the first group tries again.
		if err := l.roll(); err != nil && (!isTemporary(err) || len(l.segments.list) == 0) {
			return err
		} else if err != nil {
			_ = l.failing("begin a segment", err)
		}
	}
	head, err := openHead(l.fs, l.opts.Dir, l.next-1)
	if err == nil {
		err = head.file.Datasync() // where it is not there, ids end
	}
	if err != nil {
		return err
	}
	l.writing.head = head
	if anew || !l.metaStands() {
		if err := writeMeta(l.fs, l.opts.Dir, l.meta); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.opts.Dir)
}

// isTemporary reports whether an error says that something is used up.
func isTemporary(err error) bool {
	for _, want := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

func (l *Log) metaStands() bool {
	m, err := readMeta(l.fs, l.opts.Dir)
	return err == nil && m == l.meta
}

// abort closes what was opened.
func (l *Log) abort() {
	for _, s := range l.segments.byID {
		_ = s.file.Close()
	}
	if l.writing.head != nil {
		_ = l.writing.head.close()
	}
}
