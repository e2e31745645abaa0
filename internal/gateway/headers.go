package gateway

import (
	"net/http"
	"slices"
	"strings"

	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// toldOnce gives the headers of r that its connect callback tells and nothing
// keeps.
func (g *Gateway) toldOnce(r *http.Request) (more []packed.Header) {
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

// recorded is what is kept of a stream's request outside of the process. Where
// not all headers may be kept, neither may an access token in the query.
func (g *Gateway) recorded(c *conn) []byte {
	url := c.request.URL()
	if g.opts.CallbackHeaders != nil {
		url = wire.MaskAccess(url)
	}
	return g.requests.AppendJSONWith(nil, c.request, url, nil)
}
