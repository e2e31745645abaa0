package segments

// Stats says what is there, and counts since the log was opened.
type Stats struct {
	First, Last uint64 // positions; 0 if there never was one
	Bytes       int64  // of all segments
	MaxBytes    int64
	Segments    int
	Topics      int
	Events      int    // in the index
	Discarded   uint64 // events dropped for want of room
	Floor       uint64 // below it events may have been dropped for want of room, or lost

	Appends    uint64 // events that were stored
	Repeats    uint64 // entries whose key had been used
	Groups     uint64 // writes
	Syncs      uint64 // of groups
	Failed     uint64 // groups that could not be written
	Refused    uint64 // calls that found no room, on the disk or in the queue
	Reads      uint64
	ReadErrors uint64
	Rewritten  uint64 // segments
	Reclaimed  int64  // bytes that rewriting has given back
	Scrubbed   int64  // bytes that were compared with their sums
	Damaged    uint64 // places that were found damaged
	Holes      uint64 // ranges of positions that are missing because of that
	KeysEarly  uint64 // idempotency keys dropped before their time, for want of room
	Waiting    int    // calls that wait to be written
}

// Stats gives the counters.
func (l *Log) Stats() Stats {
	l.queue.mu.Lock()
	waiting := len(l.queue.waiting)
	l.queue.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	if n := len(l.segments.list); n > 0 {
		s.First, s.Last = l.segments.list[0].base, l.next-1
	}
	s.Bytes, s.MaxBytes, s.Segments = l.segments.bytes(), l.opts.MaxBytes, len(l.segments.list)
	s.Topics, s.Events = len(l.index.topics), l.index.events
	s.Floor, s.KeysEarly, s.Waiting = l.floors.discarded, l.keys.early, waiting
	return s
}
