package limit

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/peer"
)

// Tally logs what clients cause: the first time for each kind and address, and then once
// a minute how often it was repeated. So a client cannot fill the log. All methods may
// be called concurrently.
type Tally struct {
	log   *slog.Logger
	text  string // of the lines
	pause time.Duration

	mu    sync.Mutex
	seen  map[tallyKey]*tallyEntry // guarded by mu, as is armed
	armed bool                     // a summary is due
}

type tallyKey struct {
	kind    string
	address netip.Addr // as limits count; invalid: this machine, or all beyond maxTallyEntries
}

type tallyEntry struct{ more int }

const (
	// tallyPause is the time between two lines of one kind and address.
	tallyPause = time.Minute
	// maxTallyEntries bounds the kinds and addresses that have lines of their own.
	maxTallyEntries = 128
)

// NewTally returns a tally whose log lines have the given text.
func NewTally(log *slog.Logger, text string) *Tally {
	return &Tally{log: log, text: text, pause: tallyPause, seen: make(map[tallyKey]*tallyEntry)}
}

// Add counts something of a kind, which an address has caused. attributes are added to
// the line, if it is logged.
func (t *Tally) Add(kind string, address netip.Addr, attributes ...any) {
	if address.IsValid() {
		address = peer.Key(address)
	}
	key := tallyKey{kind, address}
	t.mu.Lock()
	entry := t.seen[key]
	if entry == nil && len(t.seen) >= maxTallyEntries {
		key.address = netip.Addr{}
		entry = t.seen[key]
	}
	first := entry == nil && len(t.seen) < 2*maxTallyEntries
	switch {
	case entry != nil:
		entry.more++
	case first:
		t.seen[key] = new(tallyEntry)
	}
	if !t.armed {
		t.armed = true
		time.AfterFunc(t.pause, t.sum)
	}
	t.mu.Unlock()
	if first {
		t.log.Info(t.text, append([]any{"code", kind, "address", key.shown()}, attributes...)...)
	}
}

func (k tallyKey) shown() string {
	if !k.address.IsValid() {
		return "-"
	}
	return k.address.String()
}

// sum logs how often entries were repeated since the last time, and deletes the others.
func (t *Tally) sum() {
	counts := make(map[tallyKey]int)
	t.mu.Lock()
	for key, entry := range t.seen {
		if entry.more == 0 {
			delete(t.seen, key)
			continue
		}
		counts[key], entry.more = entry.more, 0
	}
	if t.armed = len(t.seen) > 0; t.armed {
		time.AfterFunc(t.pause, t.sum)
	}
	t.mu.Unlock()
	for key, n := range counts {
		t.log.Info(t.text, "code", key.kind, "address", key.shown(), "more", n, "within", t.pause)
	}
}
