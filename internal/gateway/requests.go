package gateway

import (
	"net/http"
	"net/netip"
	"time"

	"tidegate/internal/limit"
	"tidegate/internal/packed"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// requests keeps the requests of streams, each until its disconnect was delivered. It
// bounds what large ones take: in memory, and with storage in the record of each
// stream.
type requests struct {
	*packed.Store
	large *limit.Share // bytes beyond usualRequest of each
}

const (
	// usualRequest is how many bytes of a request are not counted: the number of
	// streams bounds these.
	usualRequest = 2 << 10
	// maxLarge bounds the bytes of large requests together. It is half of what storage
	// has for records, so that records of other nodes find room.
	maxLarge = 128 << 20
)

var errHeadersFull = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeHeadersFull,
	Message: "The headers of all streams take too much: try again later, or send fewer", RetryAfter: 5 * time.Second}

// keep packs a request. It returns errHeadersFull if a large one finds no room.
func (q *requests) keep(r *http.Request) (packed.Request, *wire.Error) {
	p := q.Pack(r)
	if n := q.excess(p); n > 0 && !q.large.Add(addressOf(p), n) {
		q.Store.Release(p)
		return packed.Request{}, errHeadersFull
	}
	return p, nil
}

// Release frees a request.
func (q *requests) Release(p packed.Request) {
	if n := q.excess(p); n > 0 {
		q.large.Remove(addressOf(p), n)
	}
	q.Store.Release(p)
}

func (q *requests) excess(p packed.Request) int64 { return int64(q.Size(p) - usualRequest) }

func addressOf(p packed.Request) netip.Addr { return peer.AddrOf(p.RemoteAddr()) }
