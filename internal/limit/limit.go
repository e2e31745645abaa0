// Package limit bounds what clients may use: connections and streams, in all and for each
// address, and bytes of bodies and answers in progress.
//
// A [Limits] belongs to a process, a [Pool] to a listener. A parked stream leaves
// net/http but keeps its connection: its [Hold] counts it until the stream ends.
package limit

import (
	"cmp"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// Options bound a process. The zero value of a field is no bound.
type Options struct {
	PerAddress  int          // connections, and as many streams, of one address
	ConnectRate float64      // connects a second of one address
	Inflight    int64        // bytes of bodies and answers in progress
	Peers       *peer.Rules  // find the client behind proxies
	Log         *slog.Logger // default: none
}

// Limits counts for a whole process. All methods may be called concurrently; those of nil
// bound nothing.
type Limits struct {
	opts      Options
	seed      maphash.Seed
	pools     []*Pool // set before any of them accepts
	addresses addresses
	rates     rates
	bytes     inflight
	refusals  *Tally
	metrics   *metrics
}

// New returns limits that have counted nothing.
func New(opts Options) *Limits {
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	l := &Limits{opts: opts, seed: maphash.MakeSeed()}
	l.rates.perSecond = opts.ConnectRate
	l.bytes.most = opts.Inflight
	l.refusals = NewTally(opts.Log, "requests refused")
	l.metrics = newMetrics()
	return l
}

// Why a client is refused. Streams get 200 and a retry field for the first two.
var (
	ErrAddress = &wire.Error{Status: http.StatusTooManyRequests, Code: wire.CodeAddressLimit, RetryAfter: 5 * time.Second,
		Message: "Too many connections or streams from your address: see --max-per-address"}
	ErrRate = &wire.Error{Status: http.StatusTooManyRequests, Code: wire.CodeConnectRate, RetryAfter: 5 * time.Second,
		Message: "Too many connects from your address: see --connect-rate"}
	ErrFull = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeTooManyConnections, RetryAfter: 5 * time.Second,
		Message: "Too many connections: try again later"}
	ErrInflight = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeInflight, RetryAfter: time.Second,
		Message: "Too many bytes of requests and answers are in progress: see --max-inflight"}
)

// hash is the key by which an address is counted; 0: it is not limited.
func (l *Limits) hash(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	b := a.As16()
	return max(1, maphash.Bytes(l.seed, b[:]))
}
