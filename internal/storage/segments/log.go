package segments

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"tidegate/internal/topic"
)

var _ topic.Store = (*Log)(nil)

// Log is a [topic.Store] over files of its own. [Open] makes one. Its methods may be
// called concurrently; AppendAll returns results only while Run runs.
type Log struct {
	opts  Options // set once, like all of this group
	log   *slog.Logger
	fs    FS
	meta  Meta
	queue queue
	room  *semaphore.Weighted // bytes that wait to be written

	hub   topic.Follower // set by Run before begun is closed
	begun chan struct{}  // closed when the hub may get events
	wake  chan struct{}  // size 1: wakes the maintenance

	mu       sync.Mutex
	index    index // guarded by mu, like all below
	segments segmentSet
	keys     keys
	next     uint64 // position of the next event
	lastAt   int64
	floors   floors
	closed   bool
	controls []control         // to be written with the next group
	trims    map[string]uint64 // the same, of topics that were trimmed
	trouble  trouble
	stats    Stats

	writing  writing // owned by the writer
	readOnly bool    // set once: for a check, that changes nothing
}

// Meta is what the file meta.json says.
type Meta struct {
	Version    int    `json:"version"`
	Generation string `json:"generation"` // the first part of every id: 8 lowercase letters and digits
	Secret     string `json:"secret"`     // what ids are sealed with
	Salt       uint32 `json:"salt"`       // of the checksums
}

// metaVersion is that of the files. Another one is refused.
const metaVersion = 1

// NewMeta draws what a new log has.
func NewMeta() Meta {
	var salt [4]byte
	_, _ = rand.Read(salt[:])
	return Meta{Version: metaVersion, Generation: newGeneration(), Secret: rand.Text(), Salt: binary.LittleEndian.Uint32(salt[:])}
}

func newGeneration() string { return strings.ToLower(rand.Text()[:8]) }

func metaPath(dir string) string { return filepath.Join(dir, "meta.json") }

// maxMeta bounds what is read of meta.json.
const maxMeta = 64 << 10

var errNoMeta = errors.New("there is no meta.json")

func readMeta(files FS, dir string) (m Meta, err error) {
	text, err := readFile(files, metaPath(dir), maxMeta)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, errNoMeta
	case err != nil:
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil || len(m.Generation) != 8 {
		return Meta{}, fmt.Errorf("meta.json is damaged")
	}
	if m.Version != metaVersion {
		return m, fmt.Errorf("the files have version %d, and this program reads %d: use the program that wrote them: %w", m.Version, metaVersion, errVersion)
	}
	return m, nil
}

var errVersion = errors.New("another version of the files")

func writeMeta(files FS, dir string, m Meta) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeFile(files, metaPath(dir), append(text, '\n'))
}

// Generation is the first part of every id.
func (l *Log) Generation() string { return l.meta.Generation }

// Run calls the hub's Begin. Appends get results from then on. Meanwhile it drops expired and
// surplus events, rewrites and merges segments, and looks for damage. It returns nil when
// ctx ends. Call it once.
func (l *Log) Run(ctx context.Context, hub topic.Follower) error {
	l.mu.Lock()
	next, at := l.next, l.lastAt
	l.mu.Unlock()
	hub.Key(l.meta.Secret)
	hub.Begin(next, at, l.meta.Generation)
	l.hub = hub
	close(l.begun)
	var syncing sync.WaitGroup
	if !l.opts.Power {
		syncing.Go(func() { l.keepSynced(ctx) })
	}
	l.maintain(ctx)
	syncing.Wait()
	return nil
}

// Caught waits until the hub has been given its beginning, or ctx ends. All that was
// in the log before can be read from then on.
func (l *Log) Caught(ctx context.Context) error {
	select {
	case <-l.begun:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errClosed is what is answered when the log has been closed.
var errClosed = errors.New("segments: the log is closed")

// Close ends appends, waits for the one that is being written, has all of it on the
// disk, and closes the files. Reads that are under way may fail. It comes after Run
// has ended, and may be called more than once.
func (l *Log) Close() error {
	var err error
	l.queue.close()
	_ = l.writeControls() // else they are made again at the next start
	l.queue.exclusive(func() {
		l.mu.Lock()
		segs, already := l.segments.list, l.closed
		l.segments.list, l.closed = nil, true
		l.mu.Unlock()
		if already {
			return
		}
		for _, seg := range segs {
			if !seg.synced {
				err = errors.Join(err, seg.file.Datasync())
			}
		}
		if len(segs) > 0 {
			err = errors.Join(err, l.fs.SyncDir(l.opts.Dir))
		}
		l.mu.Lock()
		var closing []File
		for _, seg := range segs {
			if f := l.retire(seg); f != nil {
				closing = append(closing, f)
			}
		}
		l.mu.Unlock()
		for _, f := range closing {
			err = errors.Join(err, f.Close())
		}
		err = errors.Join(err, l.writing.head.close())
	})
	return err
}
