package topic

import (
	"container/list"
	"hash/maphash"
	"time"
)

// KeyLife is how long an idempotency key is kept.
const KeyLife = 2 * time.Minute

// dedupRecord is the answer to a repeat.
type dedupRecord struct {
	content   uint64 // hash of what was published, see contentOf
	seq       uint64
	at        int64 // when the event was stored; 0 without a store
	receivers int
	made      int64
}

// dedupKeys holds idempotency keys: of topic and key a 64-bit hash, with a random seed for
// each process.
type dedupKeys struct {
	seed    maphash.Seed
	records map[uint64]dedupRecord
	order   []keyAt // oldest first, from head on
	head    int
	most    int
	early   uint64 // dropped before KeyLife, for want of room
}

type keyAt struct {
	hash uint64
	at   int64
}

func (k *dedupKeys) init(most int) {
	*k = dedupKeys{seed: maphash.MakeSeed(), records: make(map[uint64]dedupRecord), most: most, early: k.early}
}

func (k *dedupKeys) hash(topic, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	_, _ = h.WriteString(topic)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	return h.Sum64()
}

// contentSeed is for contentOf.
var contentSeed = maphash.MakeSeed()

// contentOf is a hash of what a key was used for; 0 without a key. It is computed without
// the lock.
func contentOf(p Publication) uint64 {
	if p.Key == "" {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(contentSeed)
	flags := [2]byte{}
	if p.HasEvent {
		flags[0] = 1
	}
	if p.Close {
		flags[1] = 1
	}
	_, _ = h.Write(flags[:])
	_, _ = h.WriteString(p.Name)
	_ = h.WriteByte(0) // no name has one
	_, _ = h.WriteString(p.Data)
	return h.Sum64()
}

func (k *dedupKeys) find(topic, key string, now time.Time) (dedupRecord, bool) {
	k.expire(now)
	r, ok := k.records[k.hash(topic, key)]
	return r, ok
}

func (k *dedupKeys) add(topic, key string, r dedupRecord, now time.Time) {
	h := k.hash(topic, key)
	r.made = now.UnixNano()
	k.records[h] = r
	k.order = append(k.order, keyAt{h, now.UnixNano()})
	if len(k.order)-k.head > k.most {
		k.dropOldest()
		k.early++
	}
}

// expire drops what is older than KeyLife.
func (k *dedupKeys) expire(now time.Time) {
	for k.head < len(k.order) && now.UnixNano()-k.order[k.head].at >= int64(KeyLife) {
		k.dropOldest()
	}
}

func (k *dedupKeys) dropOldest() {
	if oldest := k.order[k.head]; k.records[oldest.hash].made == oldest.at {
		delete(k.records, oldest.hash) // otherwise it was used again since
	}
	k.head++
	if k.head > 1024 && k.head > len(k.order)/2 {
		n := copy(k.order, k.order[k.head:])
		k.order, k.head = k.order[:n], 0
	}
}

// tombstones hold the last position of removed topics, so that a client that resumes
// before it receives a reset. The oldest are merged into one bound for all unknown
// topics.
type tombstones struct {
	byTopic map[string]*list.Element
	order   *list.List // of tombstone, the oldest first
	most    int
	merged  uint64
}

type tombstone struct {
	topic string
	traces
}

func (t *tombstones) init(most int) {
	*t = tombstones{byTopic: make(map[string]*list.Element), order: list.New(), most: most}
}

func (t *tombstones) add(tomb tombstone) {
	if at, ok := t.byTopic[tomb.topic]; ok {
		at.Value = tomb
		t.order.MoveToBack(at)
		return
	}
	t.byTopic[tomb.topic] = t.order.PushBack(tomb)
	if t.order.Len() > t.most {
		oldest := t.order.Remove(t.order.Front()).(tombstone)
		t.merged = max(t.merged, oldest.last)
		delete(t.byTopic, oldest.topic)
	}
}

// mergeAll replaces all tombstones by one bound: any topic may have had events up to seq.
func (t *tombstones) mergeAll(seq uint64) {
	t.init(t.most)
	t.merged = seq
}

// take removes the tombstone of a topic and returns it.
func (t *tombstones) take(topic string) (tomb tombstone, found bool) {
	at, found := t.byTopic[topic]
	if !found {
		return tomb, false
	}
	delete(t.byTopic, topic)
	return t.order.Remove(at).(tombstone), true
}

// find returns the tombstone of a topic. If there is none, floor is the position below
// which nothing is known of any topic.
func (t *tombstones) find(topic string) (tomb tombstone, found bool, floor uint64) {
	if at, ok := t.byTopic[topic]; ok {
		return at.Value.(tombstone), true, 0
	}
	return tombstone{}, false, t.merged
}
