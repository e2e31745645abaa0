package segments

import (
	"context"
	"time"
)

// keepSynced syncs what was written about every syncEvery, where appends do not wait for that:
// a power failure may lose as much. It ends with ctx.
func (l *Log) keepSynced(ctx context.Context) {
	tick := time.NewTicker(l.opts.sync)
	defer tick.Stop()
	var last *segment
	var to int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.syncSealed()
		l.mu.Lock()
		s := l.segments.active()
		if s == nil || s == last && s.size == to {
			l.mu.Unlock()
			continue
		}
		size := s.size
		s.use()
		l.mu.Unlock()
		err := s.file.Datasync()
		if err == nil && s != last { // its name too
			err = l.fs.SyncDir(l.opts.Dir)
		}
		l.release([]*segment{s})
		if err != nil {
			_ = l.failing("sync events", err) // the next group shows whether it has passed
			continue
		}
		last, to = s, size
		l.count(func(s *Stats) { s.Syncs++ })
	}
}
