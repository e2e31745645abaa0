package limit

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/peer"
)

// Tally logs what clients cause, once for each kind and address, and then sums up
// how often it came: whoever repeats something does not fill the log.
type Tally struct {
	log   *slog.Logger
	text  string // of the lines
	pause time.Duration

	mu    sync.Mutex
	seen  map[tallyKey]*tallied // guarded by mu, as is armed
	armed bool                  // a summary is due
}

type tallyKey struct {
	kind    string
	address netip.Addr // as limits count; invalid: this machine, or all beyond maxTallied
}

type tallied struct{ more int }

const (
	// tallyPause is between two lines of one kind and address.
	tallyPause = time.Minute
	// maxTallied bounds the kinds and addresses that have lines of their own.
	maxTallied = 128
)

// NewTally makes a tally whose lines have the given text.
func NewTally(log *slog.Logger, text string) *Tally {
	return &Tally{log: log, text: text, pause: tallyPause, seen: make(map[tallyKey]*tallied)}
}

// Add notes that something came of a kind and from an address; attributes are
// those of the line if it has one.
func (t *Tally) Add(kind string, address netip.Addr, attributes ...any) {
	if address.IsValid() {
		address = peer.Key(address)
	}
	key := tallyKey{kind, address}
	t.mu.Lock()
	entry := t.seen[key]
	if entry == nil && len(t.seen) >= maxTallied {
		key.address = netip.Addr{}
		entry = t.seen[key]
	}
	first := entry == nil && len(t.seen) < 2*maxTallied
	switch {
	case entry != nil:
		entry.more++
	case first:
		t.seen[key] = new(tallied)
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

// sum logs how often things came since the last time. What did not come is
// forgotten.
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
