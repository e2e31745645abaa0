package backend

import "container/list"

// Bounds of the notices to single request ids that are kept.
const (
	maxNotices     = 100_000
	maxNoticeBytes = 32 << 20 // of their text
)

// notices keeps the newest notice of each request id. At a bound it evicts the least
// recently used. It is not safe for concurrent use.
type notices struct {
	maxCount, maxBytes int

	byID  map[string]*list.Element
	order list.List // of *noticeEntry, the latest used first
	bytes int
}

type noticeEntry struct {
	id string
	*notice
}

func (e *noticeEntry) size() int {
	return len(e.id) + len(e.version.Version) + len(e.version.Changelog)
}

func newNotices(maxCount, maxBytes int) *notices {
	return &notices{maxCount: maxCount, maxBytes: maxBytes, byID: map[string]*list.Element{}}
}

func (n *notices) find(id string) *notice {
	element, ok := n.byID[id]
	if !ok {
		return nil
	}
	n.order.MoveToFront(element)
	return element.Value.(*noticeEntry).notice
}

// put keeps v, or removes the id if v is nil. It returns the highest sequence that was
// evicted, 0 for none.
func (n *notices) put(id string, v *notice) (evicted uint64) {
	if element, ok := n.byID[id]; ok {
		n.remove(element)
	}
	if v == nil {
		return 0
	}
	entry := &noticeEntry{id: id, notice: v}
	n.byID[id] = n.order.PushFront(entry)
	n.bytes += entry.size()
	for len(n.byID) > n.maxCount || n.bytes > n.maxBytes {
		oldest := n.order.Back()
		evicted = max(evicted, oldest.Value.(*noticeEntry).seq)
		n.remove(oldest)
	}
	return evicted
}

func (n *notices) remove(element *list.Element) {
	entry := n.order.Remove(element).(*noticeEntry)
	delete(n.byID, entry.id)
	n.bytes -= entry.size()
}
