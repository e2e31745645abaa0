package stream

import (
	"slices"
	"strings"
	"time"

	"tidegate/internal/wire"
)

// model is what one stream should do: a list of bytes, and why it ends.
type model struct {
	*parked
	name    string
	want    []byte // all that was taken, as the client is to get it
	direct  []int  // where in want the Direct frames end
	why     wire.Ending
	decided bool      // why is known
	torn    bool      // the client need not get everything
	refuses bool      // its socket takes nothing
	pushed  int       // events
	said    int       // bytes that the client sent
	since   time.Time // that events wait, or since they came through last
	took    time.Time // when the client got anything last
	raw     int       // how much it had then, of heartbeats too
	expires time.Time
	done    bool
	seen    int // bytes that the client had when last looked
}

func (m *model) decide(why wire.Ending, torn bool) {
	if !m.decided {
		m.decided, m.why = true, why
	}
	m.torn = m.torn || torn
}

// clean is how much of what the model knows the client has: all but heartbeats.
func (m *model) clean() int {
	got, _ := m.text()
	return len(strings.ReplaceAll(got, string(heartbeat.chunk), ""))
}

// compare looks whether the stream is as the model says.
func (m *model) compare() {
	got, closed := m.text()
	all := string(m.want)
	if m.decided && m.why != endLeft || m.decided && m.ending != 0 {
		all += string(terminator)
	}
	if len(got) != m.raw {
		m.raw, m.took = len(got), time.Now()
	}
	got = strings.ReplaceAll(got, string(heartbeat.chunk), "")
	if !strings.HasPrefix(all, got) {
		// The end may be a part of a heartbeat.
		for n := len(heartbeat.chunk) - 1; n > 0; n-- {
			if rest, ok := strings.CutSuffix(got, string(heartbeat.chunk[:n])); ok && strings.HasPrefix(all, rest) {
				got = rest
				break
			}
		}
	}
	if !strings.HasPrefix(all, got) {
		m.t.Errorf("%s: the client has\n%.3000q\nwhich does not begin\n%.3000q", m.name, got, all)
	}
	if len(got) != m.seen {
		m.seen, m.since = len(got), time.Now()
	}
	m.mu.Lock()
	ends := slices.Clone(m.ends)
	m.mu.Unlock()
	whole := m.decided && got == string(m.want)+string(terminator)
	switch {
	case closed != (len(ends) == 1):
		m.t.Errorf("%s: closed %v, and Ended %+v", m.name, closed, ends)
	case !closed && (m.torn || whole):
		m.t.Errorf("%s: torn %v, whole %v, but open", m.name, m.torn, whole)
	case !closed && !m.refuses && (m.decided || got != string(m.want) || m.Pending() != 0):
		m.t.Errorf("%s: its socket takes all, and it has %d of %d; decided %v, %d pending", m.name, len(got), len(m.want), m.decided, m.Pending())
	case !closed:
	case !m.decided || ends[0] != m.why:
		m.t.Errorf("%s: Ended = %+v, want %+v", m.name, ends, m.why)
	case !m.torn && !whole:
		m.t.Errorf("%s: it ended before the client had all", m.name)
	case m.Pending() != 0 || m.queue.list != nil || m.queue.one.Frame != nil:
		m.t.Errorf("%s: %d pending after the end", m.name, m.Pending())
	}
	// What is undelivered, is so; a write counts when all of it is through.
	missing := 0
	for _, at := range m.direct {
		if at > len(got) {
			missing++
		}
	}
	if n := m.Undelivered(); n < missing || n > len(m.direct) || whole && n != 0 {
		m.t.Errorf("%s: %d undelivered, and %d of %d are not there", m.name, n, missing, len(m.direct))
	}
	m.done = closed
}
