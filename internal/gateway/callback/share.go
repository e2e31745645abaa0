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
	address netip.Addr
	count   int
	byAge   ageList
}

// joinShare adds an item to the share of its address. The caller holds mu.
func (q *Queue) joinShare(item *delivery) {
	address := peer.AddrOf(item.message.Request.RemoteAddr())
	if !address.IsValid() || address.IsLoopback() {
		return
	}
	address = peer.Key(address)
	s := q.shares[address]
	if s == nil {
		s = &addressShare{address: address, byAge: ageList{of: func(d *delivery) *links { return &d.inShare }}}
		q.shares[address] = s
	}
	s.count++
	s.byAge.add(item)
	item.share = s
}

// leaveShare takes an item out of the share of its address. The caller holds mu.
func (q *Queue) leaveShare(item *delivery) {
	s := item.share
	if s == nil {
		return
	}
	s.byAge.remove(item)
	item.share = nil
	if s.count--; s.count == 0 {
		delete(q.shares, s.address)
	}
}

// takeExcess takes out the disconnect that has to be given up for the youngest one,
// and says why; nil if none has to. The caller holds mu.
func (q *Queue) takeExcess(youngest *delivery) (excess *delivery, why string) {
	switch s := youngest.share; {
	case s != nil && s.count > max(1, q.opts.Size/shareDivisor):
		excess, why = s.byAge.oldestWaiting(), addressFull
	case q.items.Len() > q.opts.Size:
		excess, why = q.byAge.oldestWaiting(), queueFull
	default:
		return nil, ""
	}
	q.items.Remove(excess)
	q.unlink(excess)
	return excess, why
}
