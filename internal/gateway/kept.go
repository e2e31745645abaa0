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

// requests keeps the requests of streams, each until its disconnect has been
// told, and bounds what large ones take: in memory, and with storage in the
// record of each stream.
type requests struct {
	*packed.Store
	large *limit.Share // bytes beyond usualRequest of each
}

const (
	// usualRequest is how many bytes of a request count for nothing: streams are
	// bounded in number.
	usualRequest = 2 << 10
	// maxLarge is how many bytes large requests may take together. Half of what
	// storage has for records, so that those of others find room.
	maxLarge = 128 << 20
)

var errHeadersFull = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeHeadersFull,
	Message: "The headers of all streams take too much: come again, or send fewer", RetryAfter: 5 * time.Second}

// keep packs a request. The error says that there is no room for one so large.
func (q *requests) keep(r *http.Request) (packed.Request, *wire.Error) {
	p := q.Pack(r)
	if n := q.excess(p); n > 0 && !q.large.Add(addressOf(p), n) {
		q.Store.Release(p)
		return packed.Request{}, errHeadersFull
	}
	return p, nil
}

// Release forgets a request.
func (q *requests) Release(p packed.Request) {
	if n := q.excess(p); n > 0 {
		q.large.Remove(addressOf(p), n)
	}
	q.Store.Release(p)
}

func (q *requests) excess(p packed.Request) int64 { return int64(q.Size(p) - usualRequest) }

func addressOf(p packed.Request) netip.Addr { return peer.AddrOf(p.RemoteAddr()) }
