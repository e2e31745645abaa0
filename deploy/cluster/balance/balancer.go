package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// route says which nodes answer for a prefix.
type route struct {
	prefix string
	nodes  []address
}

// address is where a node is, and where it is asked whether it is ready.
type address struct {
	url   *url.URL
	ready string
}

func parseRoute(text string) (route, error) {
	prefix, list, ok := strings.Cut(text, "=")
	r := route{prefix: prefix}
	if !ok || !strings.HasPrefix(prefix, "/") {
		return r, fmt.Errorf("%q: must be like /api/=http://127.0.0.1:8080", text)
	}
	for item := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" {
			return r, fmt.Errorf("%q: must be like http://127.0.0.1:8080, without a path", item)
		}
		ready := cmp.Or(u.Query().Get("ready"), "http://"+u.Host+"/readyz")
		r.nodes = append(r.nodes, address{u, ready})
	}
	return r, nil
}

// node is one server.
type node struct {
	address
	isReady atomic.Bool
}

// balancer is the proxy. It is an http.Handler.
type balancer struct {
	groups    []*group
	nodes     []*node
	transport *http.Transport
}

// group is the nodes of a route.
type group struct {
	prefix string
	nodes  []*node
	turn   atomic.Uint64
	proxy  *httputil.ReverseProxy
}

func newBalancer(routes []route) *balancer {
	b := &balancer{transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, MaxIdleConnsPerHost: 64, DisableCompression: true,
	}}
	known := map[string]*node{}
	for _, r := range routes {
		g := &group{prefix: r.prefix}
		for _, a := range r.nodes {
			n := known[a.url.Host]
			if n == nil {
				n = &node{address: a}
				known[a.url.Host] = n
				b.nodes = append(b.nodes, n)
			}
			g.nodes = append(g.nodes, n)
		}
		g.proxy = &httputil.ReverseProxy{
			Transport:     &passOver{g, b.transport},
			FlushInterval: -1, // an event is worth nothing in a buffer
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetXForwarded()
				r.Out.Host = r.In.Host
				r.Out.URL.Scheme = "http"
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				http.Error(w, "no node answers: "+err.Error(), http.StatusBadGateway)
			},
		}
		b.groups = append(b.groups, g)
	}
	slices.SortStableFunc(b.groups, func(a, b *group) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	return b
}

func (b *balancer) close() { b.transport.CloseIdleConnections() }

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, g := range b.groups {
		if strings.HasPrefix(r.URL.Path, g.prefix) {
			g.proxy.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "no route for this path", http.StatusNotFound)
}

// passOver sends a request to the next node that is ready.
type passOver struct {
	group *group
	next  http.RoundTripper
}

// errNoNode is answered while all nodes of a route are away.
var errNoNode = errors.New("none is ready")

// A request waits for a node to be ready for so long: it is asked only now and
// then, and may have become ready since.
const (
	waitReady = 2 * time.Second
	waitStep  = 20 * time.Millisecond
)

// RoundTrip implements http.RoundTripper.
func (p *passOver) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), waitReady)
	defer cancel()
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	for {
		response, err := p.once(r)
		if !errors.Is(err, errNoNode) {
			return response, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// once sends a request to another node if the first cannot be connected to, since
// then it has not had it.
func (p *passOver) once(r *http.Request) (*http.Response, error) {
	start := p.group.turn.Add(1)
	err := errNoNode
	for i := range p.group.nodes {
		n := p.group.nodes[(start+uint64(i))%uint64(len(p.group.nodes))]
		if !n.isReady.Load() {
			continue
		}
		try := r.Clone(r.Context())
		try.URL.Host = n.url.Host
		var response *http.Response
		if response, err = p.next.RoundTrip(try); err == nil {
			return response, nil
		}
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || r.ContentLength != 0 {
			return nil, err
		}
		n.isReady.Store(false) // until it is asked again
	}
	return nil, err
}

// watch asks the node whether it is ready, until ctx ends.
func (n *node) watch(ctx context.Context, interval time.Duration) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		n.isReady.Store(n.ask(ctx, client))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) ask(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.ready, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
