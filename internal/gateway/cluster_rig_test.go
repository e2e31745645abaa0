package gateway_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// neighbours are gateways of one cluster, joined without a network.
type neighbours struct {
	mu      sync.Mutex
	members map[string]*member // guarded by mu, by name
}

// member is one gateway's [gateway.Peers].
type member struct {
	all     *neighbours
	gateway *gateway.Gateway

	name  string // guarded by all.mu, like all below
	deaf  bool   // it does not answer
	asked []wire.PeerRequest
}

// cluster starts a gateway for each name. change may change the options of all.
func cluster(t testing.TB, on network, change func(*gateway.Options), names ...string) []*rig {
	t.Helper()
	all := &neighbours{members: map[string]*member{}}
	var rigs []*rig
	for _, name := range names {
		m := &member{all: all, name: name}
		r := setup(t, on, func(o *gateway.Options) {
			o.Peers = m
			if change != nil {
				change(o)
			}
		})
		m.gateway, r.member = r.gateway, m
		all.mu.Lock()
		all.members[name] = m
		all.mu.Unlock()
		rigs = append(rigs, r)
	}
	return rigs
}

// Node implements [gateway.Peers].
func (m *member) Node() string {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	return m.name
}

// Others implements [gateway.Peers].
func (m *member) Others() (names []string) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	for name := range m.all.members {
		if name != m.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Ask implements [gateway.Peers].
func (m *member) Ask(ctx context.Context, node string, r wire.PeerRequest) (wire.PeerAnswer, error) {
	m.all.mu.Lock()
	r.Body = bytes.Clone(r.Body)
	m.asked = append(m.asked, r)
	other := m.all.members[node]
	deaf := other != nil && other.deaf
	m.all.mu.Unlock()
	switch {
	case other == nil:
		return wire.PeerAnswer{}, wire.ErrNoNode
	case deaf:
		<-ctx.Done()
		return wire.PeerAnswer{}, ctx.Err()
	}
	return other.gateway.AnswerPeer(ctx, r), nil
}

// asks counts what this member has asked others.
func (m *member) asks() int {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	return len(m.asked)
}

// silence has this member not answer others any more.
func (m *member) silence() {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.deaf = true
}

// rename gives this member another name, as it gets it when it was cut off.
func (m *member) rename(name string) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	delete(m.all.members, m.name)
	m.name = name
	m.all.members[name] = m
}

// sessionStore is a [gateway.SessionStore] that keeps the records that it receives.
type sessionStore struct {
	mu       sync.Mutex
	entered  []wire.SessionRecord // guarded by mu, like all below
	struck   []string             // node and token
	unsteady bool
	gate     chan struct{} // Enter waits for it; nil: not
}

// Put implements [gateway.SessionStore].
func (l *sessionStore) Put(ctx context.Context, e wire.SessionRecord) {
	l.mu.Lock()
	e.Request = bytes.Clone(e.Request)
	l.entered = append(l.entered, e)
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
}

// Delete implements [gateway.SessionStore].
func (l *sessionStore) Delete(node, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.struck = append(l.struck, node+" "+token)
}

// Ready implements [gateway.SessionStore].
func (l *sessionStore) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.unsteady
}

func (l *sessionStore) setSteady(steady bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsteady = !steady
}

// wantStruck compares all that was struck so far.
func (l *sessionStore) wantStruck(t testing.TB, when string, node string, tokens ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var want []string
	for _, token := range tokens {
		want = append(want, node+" "+token)
	}
	if !slices.Equal(l.struck, want) {
		t.Errorf("%s: struck %q, want %q", when, l.struck, want)
	}
}

// recorded starts a gateway with a session store, alone in its cluster.
func recorded(t testing.TB, on network, l *sessionStore, change func(*gateway.Options)) *rig {
	t.Helper()
	return cluster(t, on, func(o *gateway.Options) {
		o.Sessions = l
		if change != nil {
			change(o)
		}
	}, nodeA)[0]
}

// Names of nodes.
const (
	nodeA = "nodeaaa1"
	nodeB = "nodebbb2"
	nodeC = "nodeccc3"
)
