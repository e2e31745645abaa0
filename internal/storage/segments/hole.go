package segments

import "fmt"

// damaged notes that the event at a place cannot be read, and takes it out of the index. The
// next event of its topic names it as its predecessor. Until there is one, the topic has a
// hole at its end.
func (l *Log) damaged(name string, p place, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.index.topics[name]
	if !ok {
		return
	}
	i := t.from(p.seq)
	if i == len(t.places) || t.places[i] != p {
		return // noted already, or a rewrite has moved it
	}
	l.log.Error("the event log is damaged: clients that may need this event get a reset", "topic", name, "position", p.seq, "error", why)
	t.hole = max(t.hole, p.seq)
	l.note(control{kind: kindHole, topic: name, from: p.seq, to: p.seq})
	l.stats.Damaged++
	l.stats.Holes++
	l.cut(t, i, i+1)
}

// damagedRange notes the events in a part of a file that cannot be read.
func (l *Log) damagedRange(s *segment, from, to int64) {
	type found struct {
		name string
		p    place
	}
	var some []found
	l.eachTopic(func(t *topicIndex) {
		for i := t.from(s.base); i < len(t.places) && t.places[i].seq <= s.last; i++ {
			if p := t.places[i]; p.seg == s.id && int64(p.off) >= from && int64(p.off) < to {
				some = append(some, found{t.name, p})
			}
		}
	})
	for _, f := range some {
		l.damaged(f.name, f.p, fmt.Errorf("%w: bytes %d to %d of %s", errDamaged, from, to, s.path))
	}
}
