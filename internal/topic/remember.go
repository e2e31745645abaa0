package topic

import (
	"hash/maphash"
	"time"
)

// KeyLife is how long an idempotency key is remembered.
const KeyLife = 2 * time.Minute

// record is the answer that a repeat gets.
type record struct {
	seq       uint64
	receivers int
}

// keyring remembers idempotency keys. It holds a 64-bit hash of topic and key,
// seeded anew in each process, instead of the words themselves.
type keyring struct {
	seed    maphash.Seed
	records map[uint64]record
	order   []keyAt // oldest first, from head on
	head    int
	most    int
	early   uint64 // forgotten before their time, for want of room
}

type keyAt struct {
	hash uint64
	at   int64
}

func (k *keyring) init(most int) {
	k.seed, k.records, k.most = maphash.MakeSeed(), make(map[uint64]record), most
}

func (k *keyring) hash(topic, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	_, _ = h.WriteString(topic)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	return h.Sum64()
}

func (k *keyring) find(topic, key string, now time.Time) (record, bool) {
	k.expire(now)
	r, ok := k.records[k.hash(topic, key)]
	return r, ok
}

func (k *keyring) add(topic, key string, r record, now time.Time) {
	h := k.hash(topic, key)
	k.records[h] = r
	k.order = append(k.order, keyAt{h, now.UnixNano()})
	if len(k.records) > k.most {
		k.forget()
		k.early++
	}
}

// expire forgets what is older than KeyLife.
func (k *keyring) expire(now time.Time) {
	for k.head < len(k.order) && now.UnixNano()-k.order[k.head].at >= int64(KeyLife) {
		k.forget()
	}
}

func (k *keyring) forget() {
	delete(k.records, k.order[k.head].hash)
	k.head++
	if k.head > 1024 && k.head > len(k.order)/2 {
		n := copy(k.order, k.order[k.head:])
		k.order, k.head = k.order[:n], 0
	}
}

// tombstones remember the last position of topics that were removed, so that a
// client that asks for what came before is told of the loss. The oldest are
// merged into one bound for all that is unknown.
type tombstones struct {
	last   map[string]uint64
	order  []string // ring of maxTombstones names
	at     int
	merged uint64
}

func (t *tombstones) init() { t.last = make(map[string]uint64) }

func (t *tombstones) bury(topic string, last uint64) {
	if last == 0 {
		return
	}
	if _, ok := t.last[topic]; ok {
		t.last[topic] = last
		return
	}
	if len(t.order) < maxTombstones {
		t.order = append(t.order, topic)
	} else {
		oldest := t.order[t.at]
		t.merged = max(t.merged, t.last[oldest])
		delete(t.last, oldest)
		t.order[t.at] = topic
		t.at = (t.at + 1) % maxTombstones
	}
	t.last[topic] = last
}

// recall gives the last position of a removed topic, 0 if none is known, and
// the position below which nothing is known of it.
func (t *tombstones) recall(topic string) (last, floor uint64) {
	if last, ok := t.last[topic]; ok {
		return last, 0
	}
	return 0, t.merged
}
