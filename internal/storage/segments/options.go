package segments

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Options configure a Log. Dir is needed.
type Options struct {
	Dir      string // of the log alone; nobody else may write there meanwhile
	Power    bool   // each group is on the disk before it is answered: it survives a loss of power
	MaxBytes int64  // of all segments; beyond it the oldest is dropped; default 1 GiB
	MaxEvent int    // bytes of an event with its names; larger ones are refused; default 16 MiB, most 256 MiB
	// Redraw says that the last acknowledged events may be lost, because the machine went
	// down without Power. Then ids get a new generation.
	Redraw bool
	// Refuse is asked before each group; its error refuses what would be stored, as
	// where the disk is nearly full. Default: nothing is refused.
	Refuse func() error
	// MaxWaiting bounds the bytes of events that wait to be written; later ones
	// waits for room. Default 32 MiB.
	MaxWaiting int64
	// MaxKeys bounds the idempotency keys that are kept, at about 100 bytes each;
	// the oldest are dropped early. Default 1,000,000.
	MaxKeys int
	Log     *slog.Logger
	FS      FS // default: the machine's

	segmentSize int64         // after which the next is begun; default a sixteenth of MaxBytes, within bounds
	maintain    time.Duration // between two rounds of maintenance; default 5 s
	sync        time.Duration // between two syncs without Power; default 1 s
	scrubRate   int64         // bytes a second; default 4 MiB
	now         func() time.Time
}

const (
	defaultMaxBytes   = 1 << 30
	defaultMaxEvent   = 16 << 20
	mostMaxEvent      = 256 << 20
	defaultMaxWaiting = 32 << 20
	defaultMaxKeys    = 1_000_000

	leastSegment = 1 << 20
	mostSegment  = 512 << 20
	// segmentsOfWhole is how many segments the log has when it is full. Each is an open
	// file, and a full log drops one at a time.
	segmentsOfWhole = 16

	maintainEvery = 5 * time.Second
	syncEvery     = time.Second
	scrubRate     = 4 << 20
)

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("segments: no folder is given")
	}
	o.Dir = filepath.Clean(o.Dir)
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultMaxBytes)
	o.MaxEvent = min(cmp.Or(o.MaxEvent, defaultMaxEvent), mostMaxEvent)
	o.MaxKeys = cmp.Or(o.MaxKeys, defaultMaxKeys)
	o.MaxWaiting = cmp.Or(o.MaxWaiting, defaultMaxWaiting)
	o.segmentSize = cmp.Or(o.segmentSize, min(max(o.MaxBytes/segmentsOfWhole, leastSegment), mostSegment))
	o.maintain = cmp.Or(o.maintain, maintainEvery)
	o.sync = cmp.Or(o.sync, syncEvery)
	o.scrubRate = cmp.Or(o.scrubRate, scrubRate)
	if o.Refuse == nil {
		o.Refuse = func() error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.FS == nil {
		o.FS = system{}
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o, nil
}
