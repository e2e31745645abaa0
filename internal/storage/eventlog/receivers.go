package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	natsgo "github.com/nats-io/nats.go"
)

// Each node reports how many of its streams got an event to the node that published it. What
// one batch of the tail has for a node goes in one core message to
// "<prefix>.node.<node>.count":
//
//	uvarint length and the bytes of the name of the node that sends it
//	for each event: uvarint number of the Append, uvarint receivers

var errCounts = errors.New("eventlog: not a message of counts")

func (l *Log) countSubject(node string) string { return l.e.Subject("node." + node + ".count") }

// receiverInbox gets the counts of other nodes. It follows the node's name.
type receiverInbox struct {
	mu     sync.Mutex
	node   string // guarded by mu, like all below
	sub    *natsgo.Subscription
	closed bool
}

// listen subscribes to the counts for node, unless it has already.
func (l *Log) listen(node string) error {
	b := &l.inbox
	b.mu.Lock()
	have := b.node == node || b.closed
	b.mu.Unlock()
	if have {
		return nil
	}
	sub, err := l.e.Conn().Subscribe(l.countSubject(node), l.onCounts)
	if err != nil {
		return fmt.Errorf("listen to other nodes: %w", err)
	}
	unsubscribe(b.replace(node, sub))
	return nil
}

// replace returns the subscription that is not needed any more.
func (b *receiverInbox) replace(node string, sub *natsgo.Subscription) *natsgo.Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.node == node { // another goroutine was faster
		return sub
	}
	old := b.sub
	b.node, b.sub = node, sub
	return old
}

func (b *receiverInbox) close() {
	b.mu.Lock()
	sub := b.sub
	b.closed, b.sub = true, nil
	b.mu.Unlock()
	unsubscribe(sub)
}

// unsubscribe ends a subscription. After an error the connection has ended, and the
// subscription with it.
func unsubscribe(sub *natsgo.Subscription) {
	if sub != nil {
		_ = sub.Unsubscribe()
	}
}

func (l *Log) onCounts(msg *natsgo.Msg) {
	node, counts, err := parseCounts(msg.Data)
	if err != nil {
		l.log.Warn("counts of another node could not be read", "error", err)
		return
	}
	for _, c := range counts {
		l.inflight.count(node, c.n, int(c.receivers))
	}
}

// sendCounts sends the receivers here to the nodes that published the events.
func (l *Log) sendCounts(outcomes []tailOutcome) {
	own := l.opts.Node()
	messages := make(map[string][]byte)
	for _, o := range outcomes {
		node := o.ref.node
		if node == own || node == "" {
			continue
		}
		b := messages[node]
		if b == nil {
			b = appendCountsFrom(nil, own)
		}
		messages[node] = appendCount(b, o.ref.n, uint64(o.applied.Receivers))
	}
	for node, message := range messages {
		if err := l.e.Conn().Publish(l.countSubject(node), message); err != nil {
			l.log.Debug("counts not sent to another node", "node", node, "error", err)
		}
	}
}

type receiverCount struct{ n, receivers uint64 }

func appendCountsFrom(dst []byte, node string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(node))), node...)
}

func appendCount(dst []byte, n, receivers uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, n), receivers)
}

// parseCounts parses what the two functions above append.
func parseCounts(b []byte) (node string, counts []receiverCount, err error) {
	length, size := binary.Uvarint(b)
	if size <= 0 || length > uint64(len(b)-size) {
		return "", nil, errCounts
	}
	b = b[size:]
	node, b = string(b[:length]), b[length:]
	for len(b) > 0 {
		var c receiverCount
		for _, n := range []*uint64{&c.n, &c.receivers} {
			if *n, size = binary.Uvarint(b); size <= 0 || *n >= 1<<62 {
				return "", nil, errCounts
			}
			b = b[size:]
		}
		counts = append(counts, c)
	}
	return node, counts, nil
}
