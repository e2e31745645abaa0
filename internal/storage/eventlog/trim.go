package eventlog

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxTrims bounds the topics that wait to be trimmed. For a topic that is refused, the
	// next event asks again.
	maxTrims = 65_536
	// trimPause is between two rounds. A busy topic is trimmed once a round, because
	// finding its old events is work.
	trimPause = 250 * time.Millisecond
)

// trimQueue is the topics that wait to be trimmed, each once.
type trimQueue struct {
	some chan struct{} // size 1: there may be some

	mu   sync.Mutex
	keep map[string]int // guarded by mu
}

func (q *trimQueue) init() { q.some, q.keep = make(chan struct{}, 1), make(map[string]int) }

// Trim has all but the newest keep events of a topic deleted, within about a second if the
// server answers. It does not wait. While 65,536 topics are waiting it ignores others.
func (l *Log) Trim(name string, keep int) {
	if !l.trims.put(name, keep) {
		l.tally.add(func(s *Stats) { s.TrimsRefused++ })
	}
}

func (q *trimQueue) put(name string, keep int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waits := q.keep[name]; !waits && len(q.keep) >= maxTrims {
		return false
	}
	q.keep[name] = keep
	select {
	case q.some <- struct{}{}:
	default:
	}
	return true
}

// take empties the queue.
func (q *trimQueue) take() map[string]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := q.keep
	q.keep = make(map[string]int)
	return keep
}

// restore puts topics back that could not be trimmed. Newer requests win.
func (q *trimQueue) restore(keep map[string]int) {
	q.mu.Lock()
	again := q.keep
	q.keep = keep
	q.mu.Unlock()
	for name, n := range again {
		q.put(name, n)
	}
}

// trim works on the queue until ctx ends. Topics that are waiting then are trimmed after their
// next event.
func (l *Log) trim(ctx context.Context) {
	pause := time.NewTicker(trimPause)
	defer pause.Stop()
	for {
		select {
		case <-l.trims.some:
		case <-ctx.Done():
			return
		}
		if !l.trimAll(ctx) {
			select { // the rest, later
			case l.trims.some <- struct{}{}:
			default:
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *Log) trimAll(ctx context.Context) bool {
	waiting := l.trims.take()
	for name, keep := range waiting {
		if err := l.trimOne(ctx, name, keep); err != nil {
			l.log.Debug("topic not trimmed yet", "error", err)
			l.trims.restore(waiting)
			return false
		}
		delete(waiting, name)
	}
	return true
}

func (l *Log) trimOne(ctx context.Context, name string, keep int) error {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	opts := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(topicSubject(l.e, name))}
	if keep > 0 {
		opts = append(opts, jetstream.WithPurgeKeep(uint64(keep)))
	}
	return l.ev.Purge(ctx, opts...)
}
