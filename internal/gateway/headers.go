package gateway

import (
	"net/http"
	"slices"
	"strings"

	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// connectHeaders returns the headers of r that only its connect callback reports.
func (g *Gateway) connectHeaders(r *http.Request) (more []packed.Header) {
	for _, name := range g.opts.ConnectHeaders {
		kept := slices.ContainsFunc(g.opts.CallbackHeaders, func(k string) bool { return strings.EqualFold(k, name) })
		values := r.Header.Values(name)
		if len(values) == 0 || kept || g.opts.CallbackHeaders == nil {
			continue
		}
		separator := ", "
		if strings.EqualFold(name, "cookie") {
			separator = "; "
		}
		more = append(more, packed.Header{Name: strings.ToLower(name), Value: strings.Join(values, separator)})
	}
	return more
}

// recordedRequest is what storage keeps of a stream's request. If not all headers may
// be kept, an access token in the query is masked too.
func (g *Gateway) recordedRequest(c *conn) []byte {
	url := c.request.URL()
	if g.opts.CallbackHeaders != nil {
		url = wire.MaskAccess(url)
	}
	return g.requests.AppendJSONWith(nil, c.request, url, nil)
}
