package topic_test

import (
	"fmt"
	"slices"
	"testing"

	"tidegate/internal/longtest"
	"tidegate/internal/topic"
)

// TestEveryClientSeesEveryEventOnceInOrder compares a hub with the reference over
// many random histories: publish, close, delete, connect, attach in one call and
// in many, early and late, detach, streams that end for being slow, and cuts at
// any byte with a return by the last id that was read. Half of the hubs have a
// store: most of their logs are in it only, they are started anew now and then, and
// are behind sometimes, while others publish more than a topic keeps.
func TestEveryClientSeesEveryEventOnceInOrder(t *testing.T) {
	t.Parallel()
	seeds, steps := longtest.Number(120, 400), 300
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var store *fakeStore
			if seed%4 >= 2 {
				store = newFakeStore()
				if seed%8 >= 4 {
					store.secret = "secret"
				}
			}
			w := newWorld(t, uint64(seed), store)
			if seed%2 == 1 {
				w.wide = true
				w.hub.FanOutOver(1+w.rng.IntN(2), 1+w.rng.IntN(8))
			}
			for range 4 {
				w.clients = append(w.clients, w.newClient())
			}
			for range steps {
				w.step()
			}
			for _, c := range w.clients {
				w.comeHome(c)
			}
		})
	}
}

func (w *world) newClient() *client {
	w.deletedTo++
	return &client{w: w, number: w.deletedTo, wants: make(map[string]*progress)}
}

// step does one random thing.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 45:
		w.publish(w.pick(), true, false)
	case n < 46:
		w.publish(w.pick(), w.chance(50), true)
	case n < 47:
		w.remove(w.pick())
	case n < 50:
		w.miss(w.pick())
	default:
		i := w.rng.IntN(len(w.clients))
		if over := w.act(w.clients[i]); over {
			w.clients[i] = w.newClient()
		}
	}
	if w.store != nil && w.chance(2) {
		w.restart()
	}
	w.check(w.pick())
	if w.chance(60) {
		w.hub.Advance()
	}
	for _, c := range w.clients {
		if w.chance(40) {
			w.deliverPending(c)
			w.checkEnd(c)
		}
	}
}

// act does something with a client. over says that it will not come back.
func (w *world) act(c *client) (over bool) {
	switch {
	case c.conn == nil:
		c.connect()
		w.attachFirst(c)
	case !c.conn.open && w.chance(5):
		w.deliverPending(c)
		c.cut(0)
	case !c.conn.open && w.chance(70):
		return w.open(c)
	case !c.conn.open:
		w.attachMore(c)
	case c.conn.ended, w.chance(20):
		w.deliverPending(c)
		c.cut(w.anyByte(c.conn))
	case w.chance(5):
		w.slow(c)
	case w.chance(30):
		w.detach(c)
	default:
		w.attachMore(c)
	}
	return false
}

// attachFirst asks for the topics that the client had, and perhaps others: in
// one call, or in one for each.
func (w *world) attachFirst(c *client) {
	for range w.rng.IntN(3) {
		if name := w.pick().name; c.wants[name] == nil {
			c.wants[name] = &progress{ahead: true}
		}
	}
	names := make([]string, 0, len(c.wants))
	for _, name := range w.names {
		if c.wants[name] != nil {
			names = append(names, name)
		}
	}
	w.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:len(names)-w.rng.IntN(1+len(names)/3)] // the others may come later, or not
	from := topic.FromDefault
	if w.chance(10) {
		from = w.anyFrom()
	}
	switch {
	case len(names) == 0, w.chance(10):
		return
	case w.chance(60):
		c.attach(names, from)
		return
	}
	for _, name := range names {
		c.attach([]string{name}, topic.FromDefault)
		if w.chance(30) {
			w.publish(w.pick(), true, false)
		}
	}
}

// attachMore adds topics to a stream.
func (w *world) attachMore(c *client) {
	var names []string
	for range 1 + w.rng.IntN(3) {
		name := w.pick().name
		if c.wants[name] == nil {
			c.wants[name] = &progress{ahead: true}
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	from := topic.FromDefault
	if c.conn.open && w.chance(30) {
		from = w.anyFrom()
	}
	if len(names) > 0 {
		c.attach(names, from)
	}
}

func (w *world) anyFrom() string {
	switch w.rng.IntN(3) {
	case 0:
		return topic.FromEarliest
	case 1:
		return topic.FromLatest
	}
	if id := w.clients[w.rng.IntN(len(w.clients))].lastID; id != "" {
		return id
	}
	return w.id(w.rng.Uint64N(w.seq + 1))
}

// open says that the callback was accepted.
func (w *world) open(c *client) (over bool) {
	conn := c.conn
	_, known := w.hub.Place(c.lastID, "")
	slices.Sort(conn.ghosts)
	conn.ghosts = slices.Compact(conn.ghosts)
	knew := len(conn.ghosts) > 0 && known && !conn.override && w.absent[c.lastID] == setOf(conn.ghosts)
	want := known && (conn.finished || knew) && len(conn.at) == 0 && conn.queued == 0 && !conn.override && (knew || len(conn.ghosts) == 0)
	if got := w.hub.Open(conn.member); got != want {
		w.t.Fatalf("Open() = %v, want %v: id %q, topics %q, %d events", got, want, c.lastID, conn.topicsAt(), conn.queued)
	}
	w.t.Logf("client %d: open, finished: %v", c.number, want)
	conn.open, conn.opened = true, len(conn.sink.bytes())
	if len(conn.ghosts) > 0 && !knew {
		conn.tell(conn.ghosts)
	}
	conn.endIfDone()
	if want {
		w.hub.Leave(conn.member)
		c.conn = nil
	}
	return want
}

// slow publishes an event that a stream is too slow for.
func (w *world) slow(c *client) {
	if names := c.conn.topicsAt(); len(names) > 0 {
		w.deliverPending(c)
		c.conn.sink.full, c.conn.ended = true, true
		w.publish(w.topics[names[0]], true, false)
		w.deliverPending(c)
	}
}

func (w *world) detach(c *client) {
	name := w.pick().name
	w.t.Logf("client %d: detach %s", c.number, name)
	w.hub.Detach(c.conn.member, []string{name})
	delete(c.conn.at, name)
	delete(c.conn.over, name)
	delete(c.wants, name)
}

// anyByte is where a connection is cut: half of the time nothing is missing.
func (w *world) anyByte(c *conn) int {
	all := len(c.sink.bytes())
	if w.chance(50) {
		return all
	}
	return w.rng.IntN(all + 1)
}

// checkEnd compares whether a stream has ended.
func (w *world) checkEnd(c *client) {
	if c.conn == nil {
		return
	}
	if got := c.conn.sink.ending != nil; got != c.conn.ended {
		w.t.Fatalf("the stream has ended: %v, want %v; topics %q", got, c.conn.ended, c.conn.topicsAt())
	}
}

// comeHome lets a client come back a last time and read everything.
func (w *world) comeHome(c *client) {
	if c.conn == nil {
		c.connect()
		for name := range c.wants {
			c.attach([]string{name}, topic.FromDefault)
		}
	}
	if !c.conn.open && w.open(c) {
		return
	}
	w.deliverPending(c)
	c.cut(len(c.conn.sink.bytes()))
}
