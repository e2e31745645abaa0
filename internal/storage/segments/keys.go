package segments

import "tidegate/internal/topic"

// keys has the events of the idempotency keys of the last [topic.KeyLife], for dedup. The log's
// lock guards it.
type keys struct {
	byID  map[keyID]keyed
	order []keyAt // oldest first, from head on
	head  int
	most  int
	early uint64 // dropped before their time, for want of room
}

type keyed struct {
	seq uint64
	at  int64
}

type keyAt struct {
	id keyID
	at int64
}

func (k *keys) init(most int) { k.byID, k.most = make(map[keyID]keyed), most }

func (k *keys) find(id keyID, now int64) (keyed, bool) {
	k.expire(now)
	first, ok := k.byID[id]
	return first, ok
}

func (k *keys) add(id keyID, seq uint64, at int64) {
	k.byID[id] = keyed{seq, at}
	k.order = append(k.order, keyAt{id, at})
	if len(k.order)-k.head > k.most {
		k.dropOldest()
		k.early++
	}
}

func (k *keys) expire(now int64) {
	for k.head < len(k.order) && now-k.order[k.head].at >= int64(topic.KeyLife) {
		k.dropOldest()
	}
}

func (k *keys) dropOldest() {
	oldest := k.order[k.head]
	if k.byID[oldest.id].at == oldest.at {
		delete(k.byID, oldest.id) // else it was used anew since
	}
	k.head++
	if k.head > 1024 && k.head > len(k.order)/2 {
		n := copy(k.order, k.order[k.head:])
		k.order, k.head = k.order[:n], 0
	}
}

// refuse drops a key whose event the hub has refused.
func (k *keys) refuse(id keyID, seq uint64) {
	if k.byID[id].seq == seq {
		delete(k.byID, id)
	}
}
