package topic_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"tidegate/internal/topic"
)

// client is one EventSource: it connects, drops at any byte, and comes back with
// the last id that it has read.
type client struct {
	w      *world
	number int // for the log
	lastID string
	wants  map[string]*progress // its topics, over all connections
	conn   *conn                // nil while it is away
}

// progress is how far a client is in a topic.
type progress struct {
	next int // index of the first event that it has not
	// ahead says that the client's id may be beyond next: of a topic that it has
	// not joined again, or joined late and was cut before an id that speaks for it.
	ahead bool
	// behind says that the id may be before next: the events between were
	// skipped, not read, and the client was cut before the id that says so.
	behind bool
}

// conn is one connection of a client.
type conn struct {
	c        *client
	sink     *sink
	member   *topic.Member
	open     bool
	opened   int  // bytes that waited then
	finished bool // some topic of it has ended
	ended    bool // and it has no other, or was slow
	at       map[string]*join
	was      map[string]*join // those left, too
	over     map[string]bool  // those closed
	want     map[string][]int // indexes of events queued, by topic
	queued   int              // events queued, seen or not
	resets   int              // queued
	override bool             // it does not learn that there is no more

	ghosts []string // topics that do not exist, of which it is to be notified when it opens
	tales  int      // events queued of such
}

// join is one attach of one topic.
type join struct {
	late    bool
	ready   int // bytes after which an id of this attach has come
	whole   int // bytes after which all of this attach has come
	start   int
	before  int  // events of the topic that were queued by an earlier attach
	skipped bool // events before start were left out on purpose
	again   bool // it had been at the topic, and left
}

func (c *conn) endIfDone() {
	if c.open && c.finished && len(c.at) == 0 {
		c.ended = true
	}
}

func (c *conn) expect(r *ref, index int) {
	c.queued++
	if r.events[index].visible {
		c.want[r.name] = append(c.want[r.name], index)
	}
}

func (c *client) connect() {
	s := &sink{}
	c.conn = &conn{
		c: c, sink: s, member: topic.NewMember(s, c.lastID),
		at: make(map[string]*join), was: make(map[string]*join), over: make(map[string]bool),
		want: make(map[string][]int),
	}
}

// attach asks for topics, in the hub and by the reference.
func (c *client) attach(names []string, from string) {
	w, conn := c.w, c.conn
	w.t.Helper()
	w.deliverPending(c)
	before := len(conn.sink.bytes())
	ended := conn.sink.ending != nil
	override := from != topic.FromDefault && w.chance(50)
	w.t.Logf("client %d, %q: attach %q from %q, override: %v, open: %v", c.number, c.lastID, names, from, override, conn.open)
	request := topic.Request{From: from, Override: override}
	for _, name := range names {
		if w.topics[name].held() > 0 && w.chance(20) { // it exists, which the backend does not know
			request.Absent = append(request.Absent, absent(name)...)
		} else {
			request.Topics = append(request.Topics, name)
		}
	}
	var ghosts []string
	if w.chance(15) {
		ghosts = w.ghosts()
		request.Absent = append(request.Absent, absent(ghosts...)...)
	}
	_, missing, err := w.hub.AttachTo(ctx, conn.member, request)
	if err != nil || fmt.Sprint(missing) != fmt.Sprint(ghosts) {
		w.t.Fatalf("attach to %q from %q: %v; absent: %q, want %q", names, from, err, missing, ghosts)
	}
	if c.lastID != "" && !override {
		from = topic.FromDefault // it goes on where it was
	}
	conn.override = conn.override || override
	reset := false
	for _, name := range names {
		if conn.at[name] != nil || conn.over[name] {
			continue // a repeat does nothing
		}
		r := w.topics[name]
		start, lost, skipped := c.start(r, from)
		if lost {
			w.t.Logf("lost of %s", name)
		}
		reset = reset || lost
		j := &join{late: conn.open, start: start, before: len(conn.want[name]), skipped: skipped, again: conn.was[name] != nil}
		conn.was[name] = j
		if r.closed {
			conn.finished, conn.over[name] = true, true
		} else {
			conn.at[name] = j
		}
		if ended {
			j.late, j.ready, j.whole = true, math.MaxInt, math.MaxInt // nothing of it will come
			continue
		}
		for i := start; i < len(r.events); i++ {
			conn.expect(r, i)
		}
		if j.late {
			all := conn.sink.bytes()
			j.ready, j.whole = before+firstID(all[before:]), len(all)
		}
	}
	if reset && !ended {
		conn.resets++
		conn.queued++
	}
	switch {
	case len(ghosts) == 0:
	case conn.open:
		conn.tell(ghosts)
	default:
		conn.ghosts = append(conn.ghosts, ghosts...)
	}
	conn.endIfDone()
}

// tell expects what a stream receives of topics that do not exist, after the hub has
// sent it.
func (c *conn) tell(ghosts []string) {
	if c.ended {
		return
	}
	each := 1
	if len(c.at) == 0 && !c.finished {
		c.finished, each = true, 2
	}
	c.tales += each * len(ghosts)
	c.queued += each * len(ghosts)
	_, id := read(c.c.w.t, c.sink.bytes())
	if !strings.Contains(id, ".~") {
		c.c.w.t.Fatalf("notified of %q with the id %q", ghosts, id)
	}
	c.c.w.absent[id] = setOf(ghosts)
}

// setOf names a set.
func setOf(names []string) string {
	return fmt.Sprint(slices.Compact(slices.Sorted(slices.Values(names))))
}

// firstID is where the first block with an id ends.
func firstID(block []byte) int {
	at := bytes.Index(block, []byte("id: "))
	if at < 0 {
		return len(block) + 1
	}
	return at + bytes.Index(block[at:], []byte("\n\n")) + 2
}

// start says where the client begins in a topic, and whether it has to be notified
// of a loss. Where the client has been there before, its id must say the same.
func (c *client) start(r *ref, from string) (start int, lost, skipped bool) {
	w, end := c.w, len(r.events)
	id := from
	switch from {
	case topic.FromEarliest:
		return r.first(), false, false
	case topic.FromLatest:
		return end, false, true
	case topic.FromDefault:
		id = c.lastID
	}
	seq, known := w.hub.Place(id, r.name)
	switch {
	case known:
		start = r.after(seq)
		if from == topic.FromDefault {
			c.same(r, start)
		}
		lost = r.lost() > seq && r.keep.Replay != topic.ReplayLast
		return max(start, r.first()), lost, from != topic.FromDefault
	case r.keep.Replay == topic.ReplayAll:
		born := uint64(0)
		if r.deletedTo > 0 {
			born = r.events[r.deletedTo-1].seq
		}
		return r.first(), id != "" || r.lost() > born, false
	case r.keep.Replay == topic.ReplayHeld:
		return r.first(), id != "", false
	case r.keep.Replay == topic.ReplayLast:
		return max(r.first(), end-1), false, true
	}
	if id != "" {
		return r.first(), true, false
	}
	return end, false, true
}

// same is what all this is for: an id resumes a topic where the client is.
func (c *client) same(r *ref, start int) {
	p := c.wants[r.name]
	if p == nil {
		return
	}
	start, next := r.visible(max(start, r.first())), r.visible(max(p.next, r.first()))
	if start > next && !p.ahead {
		c.w.t.Fatalf("id %q resumes %s at event %d of %d, but the client is at %d: events are lost", c.lastID, r.name, start, len(r.events), next)
	}
	if start < next && !p.behind {
		c.w.t.Fatalf("id %q resumes %s at event %d of %d, but the client is at %d: events come twice", c.lastID, r.name, start, len(r.events), next)
	}
}

// cut ends the connection after a number of bytes and takes stock.
func (c *client) cut(bytes int) {
	c.w.t.Helper()
	conn := c.conn
	got, id := conn.received(bytes)
	c.w.t.Logf("client %d: cut at %d of %d: %v, %q", c.number, bytes, len(conn.sink.bytes()), got, id)
	c.w.hub.Leave(conn.member)
	c.conn = nil
	if id == "" {
		return // as if it had not been
	}
	c.lastID = id
	for name := range c.wants {
		if conn.at[name] == nil && conn.was[name] == nil {
			c.wants[name].ahead = true // others went on, and their ids
		}
	}
	for name, j := range conn.was {
		if !j.late {
			j.whole = conn.opened
		}
		p := &progress{next: j.start, ahead: j.late && bytes < j.ready}
		p.behind = j.skipped && bytes < j.whole || j.again && p.ahead
		if n := got[name]; n > j.before {
			p.next, p.behind = conn.want[name][n-1]+1, false
		}
		if c.wants[name] != nil {
			c.wants[name] = p
		}
	}
}

// received checks what a client reads up to a byte: of each topic the events
// that were queued, in order, once; and gives how many of each, and the last id.
func (c *conn) received(bytes int) (got map[string]int, lastID string) {
	w := c.c.w
	w.t.Helper()
	events, lastID := read(w.t, c.sink.bytes()[:bytes])
	got = make(map[string]int)
	resets, newest, tales := 0, uint64(0), 0
	for _, ev := range events {
		if strings.HasPrefix(ev.Data, "ghost:") {
			tales++
			continue
		}
		if ev.Name == "reset" {
			resets++
			continue
		}
		seq, err := strconv.ParseUint(ev.Data, 10, 64)
		name := w.bySeq[seq]
		if err != nil || name == "" {
			w.t.Fatalf("received %+v, which was never sent", ev)
		}
		n := got[name]
		if n == len(c.want[name]) || w.topics[name].events[c.want[name][n]].seq != seq {
			w.t.Fatalf("received event %d of %s as its number %d; want the events %v", seq, name, n, c.want[name])
		}
		got[name]++
		if at, ok := w.hub.Place(ev.ID, name); ok && at != seq {
			w.t.Fatalf("event %d of %s has the id %q, which says %d", seq, name, ev.ID, at)
		}
		if ev.ID == w.id(seq) {
			if seq <= newest {
				w.t.Fatalf("the plain id of event %d comes after that of %d", seq, newest)
			}
			newest = seq
		}
	}
	if resets > c.resets || bytes == len(c.sink.bytes()) && resets != c.resets {
		w.t.Fatalf("client %d received %d resets, want %d", c.c.number, resets, c.resets)
	}
	if tales > c.tales || bytes == len(c.sink.bytes()) && tales != c.tales {
		w.t.Fatalf("client %d was notified %d times of what does not exist, want %d", c.c.number, tales, c.tales)
	}
	if bytes == len(c.sink.bytes()) {
		for name, want := range c.want {
			if got[name] != len(want) {
				w.t.Fatalf("received %d events of %s, want %d", got[name], name, len(want))
			}
		}
	}
	return got, lastID
}

// topicsAt are the names of the topics it is at, in a fixed order.
func (c *conn) topicsAt() []string { return slices.Sorted(maps.Keys(c.at)) }
