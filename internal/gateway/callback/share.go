package callback

import (
	"net/netip"

	"tidegate/internal/peer"
)

// shareDivisor says which part of the queue one address may fill: one of so many.
// While the backend is away, an address whose clients come and leave pushes out
// disconnects of its own, not those of others.
const shareDivisor = 4

// addressShare lists what one address has in the queue, by age.
type addressShare struct {
	address          netip.Addr
	count            int
	oldest, youngest *delivery
}

// linkShare adds an item to the share of its address. The caller holds mu.
func (q *Queue) linkShare(item *delivery) {
	address := peer.AddrOf(item.message.Request.RemoteAddr())
	if !address.IsValid() || address.IsLoopback() {
		return
	}
	address = peer.Key(address)
	s := q.shares[address]
	if s == nil {
		s = &addressShare{address: address}
		q.shares[address] = s
	}
	s.count++
	item.share = s
	if item.shareOlder = s.youngest; s.youngest == nil {
		s.oldest = item
	} else {
		s.youngest.shareYounger = item
	}
	s.youngest = item
}

// unlinkShare takes an item out of the share of its address. The caller holds mu.
func (q *Queue) unlinkShare(item *delivery) {
	s := item.share
	if s == nil {
		return
	}
	if item.shareOlder == nil {
		s.oldest = item.shareYounger
	} else {
		item.shareOlder.shareYounger = item.shareYounger
	}
	if item.shareYounger == nil {
		s.youngest = item.shareOlder
	} else {
		item.shareYounger.shareOlder = item.shareOlder
	}
	item.share, item.shareOlder, item.shareYounger = nil, nil, nil
	if s.count--; s.count == 0 {
		delete(q.shares, s.address)
	}
}

// takeExcess takes out the disconnect that has to be given up for the youngest one,
// and says why; nil if none has to. The caller holds mu.
func (q *Queue) takeExcess(youngest *delivery) (excess *delivery, why string) {
	switch s := youngest.share; {
	case s != nil && s.count > max(1, q.opts.Size/shareDivisor):
		excess, why = s.oldest, addressFull
		for !excess.InHeap() { // in progress: there are few of these
			excess = excess.shareYounger
		}
	case q.items.Len() > q.opts.Size:
		excess, why = q.oldest, queueFull
		for !excess.InHeap() {
			excess = excess.younger
		}
	default:
		return nil, ""
	}
	q.items.Remove(excess)
	q.unlink(excess)
	return excess, why
}
