package sessions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

func TestFullStoreOfThisProcessBlocksNobody(t *testing.T) {
	t.Parallel()
	fullStoreBlocksNobody(t, nats.Options{Dir: t.TempDir()})
}

// A stream with copies is refused at another place of the server.
func TestFullStoreOfAClusterBlocksNobody(t *testing.T) {
	t.Parallel()
	fullStoreBlocksNobody(t, nats.Options{URLs: natstest.StartCluster(t, 3).URLs()})
}

func fullStoreBlocksNobody(t *testing.T, o nats.Options) {
	t.Helper()
	var logged natstest.Lines
	o.SessionsBytes, o.Log = 1<<20, slog.New(slog.NewTextHandler(&logged, nil))
	e := openWith(t, o)
	m := openMember(t, e, memberOptions{})
	node, written := m.nodes.Node(), m.fill(t)

	var storm sync.WaitGroup
	for i := range 200 {
		storm.Go(func() { m.putAtOnce(t, largeEntry(node, 10_000+i)) })
	}
	storm.Wait()
	if s := m.sessions.Stats(); s.Written != uint64(written) || s.DroppedPuts != 201 || s.WaitingPuts != 0 {
		t.Errorf("stats = %+v, want 201 dropped, none waiting and %d put", s, written)
	}
	if n := strings.Count(logged.String(), "sessions are not recorded"); n != 1 {
		t.Errorf("it was logged %d times that sessions are not recorded, want once", n)
	}

	// Room is made, and used.
	for i := range 100 {
		m.sessions.Delete(node, largeEntry(node, i).Token)
	}
	natstest.Eventually(t, "the records are out", func() bool { return m.sessions.Stats().Deleted == 100 })
	for i := range 50 {
		m.putAtOnce(t, largeEntry(node, 20_000+i))
	}
	if s := m.sessions.Stats(); s.Written != uint64(written)+50 || s.DroppedPuts != 201 {
		t.Errorf("stats = %+v after room was made, want 50 more put", s)
	}
}

func TestDeletesMakeRoomDuringAReconnectStorm(t *testing.T) {
	t.Parallel()
	m := openMember(t, openWith(t, nats.Options{Dir: t.TempDir(), SessionsBytes: 1 << 20}), memberOptions{})
	node, written := m.nodes.Node(), m.fill(t)
	storm, leave := context.WithCancel(t.Context())
	var connects sync.WaitGroup
	for w := range 32 {
		connects.Go(func() {
			for i := 0; storm.Err() == nil; i++ {
				token := largeEntry(node, 1_000_000*(w+1)+i)
				m.sessions.Put(storm, token)
				m.sessions.Delete(node, token.Token) // its client has had enough
			}
		})
	}
	for i := range written {
		m.sessions.Delete(node, largeEntry(node, i).Token)
	}
	natstest.Eventually(t, "all that was written before is out", func() bool {
		for i := range written {
			if changeOf(m.sessions.queue, keyOf(node, largeEntry(node, i).Token)) != nil {
				return false
			}
		}
		return true
	})
	leave()
	connects.Wait()
	natstest.Eventually(t, "nothing is left", func() bool { return m.records(t, node) == 0 })
}

// openMember makes and runs a member with the streams of the program.
func openMember(t *testing.T, e *nats.Engine, o memberOptions) *member {
	t.Helper()
	m := &member{e: e, ended: make(chan struct{})}
	var err error
	if m.nodes, err = membership.Open(t.Context(), e, o.nodes); err != nil {
		t.Fatal(err)
	}
	if m.sessions, err = Open(t.Context(), e, m.nodes, o.sessions); err != nil {
		t.Fatal(err)
	}
	m.st = m.sessions.st
	m.run(t, o)
	natstest.Eventually(t, "the node has joined", func() bool { return m.nodes.MayRecord(m.nodes.Node()) })
	return m
}

// fill enters streams until there is no room, and returns how many there are.
func (m *member) fill(t *testing.T) int {
	t.Helper()
	for i := range 5000 {
		m.putAtOnce(t, largeEntry(m.nodes.Node(), i))
		if s := m.sessions.Stats(); t.Failed() || s.DroppedPuts > 0 {
			return int(s.Written)
		}
	}
	t.Fatal("the store does not get full")
	return 0
}

// enterAtOnce enters a stream, which must not take as long as a connect waits.
func (m *member) putAtOnce(t *testing.T, entry wire.SessionRecord) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	if m.sessions.Put(ctx, entry); ctx.Err() != nil {
		t.Errorf("Put waited as long as it may; stats = %+v", m.sessions.Stats())
	}
}

// largeEntry is the record of a browser's stream.
func largeEntry(node string, i int) wire.SessionRecord {
	request, err := json.Marshal(strings.Repeat("x", 500))
	if err != nil {
		panic(err)
	}
	return wire.SessionRecord{Node: node, Token: fmt.Sprint("token-", i), OpenedAt: 1, Request: request}
}
