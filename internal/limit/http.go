package limit

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"tidegate/internal/wire"
)

// HandlerOptions describe the requests of a listener.
type HandlerOptions struct {
	// Streams reports whether a request opens a stream: those call [Limits.OpenStream]
	// themselves. nil: none does.
	Streams   func(*http.Request) bool
	MaxHeader int // bytes of request line and headers; 0: no bound
}

// Handler bounds the requests of the pool's connections before next serves them.
func (p *Pool) Handler(next http.Handler, opts HandlerOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOfRequest(r)
		first := c == nil || c.markAsked()
		if c != nil && c.why != admitted && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // whatever the answer is: other connections wait for its place
		}
		if opts.MaxHeader > 0 && headerBytes(r) > opts.MaxHeader {
			p.limits.answer(w, r, errHeader)
			return
		}
		if opts.Streams != nil && opts.Streams(r) {
			if c != nil && c.writeDeadline.Swap(0) > 0 {
				_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			}
			next.ServeHTTP(w, r)
			return
		}
		p.limits.serve(w, r, c, first, next)
	})
}

// errHeader is for what net/http tolerates: it reads 4 KiB more than its bound.
var errHeader = wire.Errorf(http.StatusRequestHeaderFieldsTooLarge, wire.CodeHeaderTooLarge,
	"Request line and headers are too large: see --max-header")

// headerBytes is about how many bytes a request line and its headers have on the wire.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host) + 20
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + 4
		}
	}
	return n
}

// serve bounds a request that opens no stream.
func (l *Limits) serve(w http.ResponseWriter, r *http.Request, c *Conn, first bool, next http.Handler) {
	if isHealth(r.URL.Path) { // health checks are always answered
		l.bounded(w, r, c, 0, next)
		return
	}
	if c != nil {
		if err := c.refusal(); err != nil {
			l.answer(w, r, err)
			return
		}
	}
	address := l.hash(l.opts.Peers.Client(r).Key())
	if first && !l.rates.allow(address) {
		l.answer(w, r, ErrRate)
		return
	}
	// Behind a proxy, requests are counted instead of connections.
	if most := l.opts.PerAddress; address != 0 && most > 0 && (c == nil || !c.counted) {
		if !l.addresses.add(address, 1, 0, most) {
			l.answer(w, r, ErrAddress)
			return
		}
		defer l.addresses.remove(address, 1, 0)
	}
	l.bounded(w, r, c, address, next)
}

func isHealth(path string) bool {
	path = strings.TrimSuffix(path, "/")
	return strings.EqualFold(path, "/healthz") || strings.EqualFold(path, "/readyz")
}

// bounded serves a request whose body and answer are bounded in time and bytes.
func (l *Limits) bounded(w http.ResponseWriter, r *http.Request, c *Conn, address uint64, next http.Handler) {
	out := &writer{ResponseWriter: w, rc: http.NewResponseController(w), limits: l, address: address}
	if r.ProtoMajor == 1 { // in HTTP/2 each request has its own deadlines
		out.conn = c
	}
	if r.Body != nil && r.Body != http.NoBody {
		in := newBody(r, out)
		defer in.release()
		r.Body = in
	}
	defer out.finish()
	next.ServeHTTP(out, r)
}

// answer refuses a request and closes its connection, which may be one too many.
func (l *Limits) answer(w http.ResponseWriter, r *http.Request, e *wire.Error) {
	l.refuse(e, l.opts.Peers.Client(r).Addr)
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(refusalTime))
	wire.WriteError(w, e) // in HTTP/1.1 it is the last answer on its connection
}

// refusalTime bounds writing a refusal.
const refusalTime = 5 * time.Second

// refuse counts a refusal, and logs the first of its kind and address.
func (l *Limits) refuse(e *wire.Error, client netip.Addr) *wire.Error {
	l.refusals.Add(string(e.Code), client)
	l.metrics.refused.WithLabelValues(string(e.Code)).Inc()
	return e
}
