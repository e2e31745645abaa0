package gateway

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"tidegate/internal/gateway/token"
)

// collidingConn makes a stream whose token belongs in one of four places of one shard,
// around its end: chains of probes grow long, and go around.
func collidingConn(id uint64) *conn {
	c := new(conn)
	binary.BigEndian.PutUint32(c.token[1:], uint32(id))
	binary.LittleEndian.PutUint64(c.token[8:], ^uint64(0)-1+id%4)
	return c
}

// TestTheTableFindsStreamsWhoseTokensCollide compares it with a map. A removal moves up
// those behind it, and must neither lose one nor move it in front of its home.
func TestTheTableFindsStreamsWhoseTokensCollide(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var table table
	model := map[token.Token]*conn{}
	var all []*conn
	for id := range uint64(40) {
		all = append(all, collidingConn(id))
	}
	for step := range 20_000 {
		c := all[random.IntN(len(all))]
		if model[c.token] == nil && random.IntN(2) == 0 {
			if !table.reserve(len(all)) {
				t.Fatalf("step %d: no place for one of %d, with %d there", step, len(all), len(model))
			}
			table.add(c)
			model[c.token] = c
		} else if removed := table.remove(c); removed != (model[c.token] != nil) {
			t.Fatalf("step %d: removed %t", step, removed)
		} else {
			delete(model, c.token)
		}
		for _, c := range all {
			if got := table.find(c.token); got != model[c.token] {
				t.Fatalf("step %d: token %x: found %p, want %p", step, c.token, got, model[c.token])
			}
		}
		if n := table.count.Load(); n != int64(len(model)) {
			t.Fatalf("step %d: %d are counted, want %d", step, n, len(model))
		}
	}
}

func TestReserveIsExact(t *testing.T) {
	t.Parallel()
	var table table
	for i := range 3 {
		if !table.reserve(3) {
			t.Fatalf("no place for stream %d of 3", i+1)
		}
	}
	for range 2 { // one that was refused does not count
		if table.reserve(3) {
			t.Fatal("a place for a fourth of 3")
		}
	}
	table.unreserve()
	if !table.reserve(3) {
		t.Error("no place for the one that left")
	}
}
