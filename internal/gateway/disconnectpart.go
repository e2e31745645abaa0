package gateway

import (
	"container/heap"
	"net/netip"

	"tidegate/internal/peer"
)

// addressShare is which part of the queue one address may have: one of so many.
// An address whose clients come and leave while the backend is away gives up
// disconnects of its own, not those of others.
const addressShare = 4

// addressPart is what one address has in the queue, by age.
type addressPart struct {
	address     netip.Addr
	count       int
	first, last *delivery
}

// join adds an item to the part of its address. The caller holds mu.
func (d *disconnects) join(item *delivery) {
	address := addressOf(item.body.request)
	if !address.IsValid() || address.IsLoopback() {
		return
	}
	address = peer.Key(address)
	p := d.parts[address]
	if p == nil {
		p = &addressPart{address: address}
		d.parts[address] = p
	}
	p.count++
	item.of = p
	if item.older = p.last; p.last == nil {
		p.first = item
	} else {
		p.last.younger = item
	}
	p.last = item
}

// part takes an item out of the part of its address. The caller holds mu.
func (d *disconnects) part(item *delivery) {
	p := item.of
	if p == nil {
		return
	}
	if item.older == nil {
		p.first = item.younger
	} else {
		item.older.younger = item.younger
	}
	if item.younger == nil {
		p.last = item.older
	} else {
		item.younger.older = item.older
	}
	item.of, item.older, item.younger = nil, nil, nil
	if p.count--; p.count == 0 {
		delete(d.parts, p.address)
	}
}

// tooMany takes out the disconnect that has to be given up for the youngest one,
// and says why; nil if none has to. The caller holds mu.
func (d *disconnects) tooMany(youngest *delivery) (given *delivery, why string) {
	switch p := youngest.of; {
	case p != nil && p.count > max(1, d.most/addressShare):
		given, why = p.first, "address_full"
		for given.at < 0 { // it is being told: there are few of these
			given = given.younger
		}
	case len(d.items) > d.most:
		given, why = d.first, "queue_full"
		for given.at < 0 {
			given = given.next
		}
	default:
		return nil, ""
	}
	heap.Remove(&d.items, given.at)
	d.unlink(given)
	return given, why
}
