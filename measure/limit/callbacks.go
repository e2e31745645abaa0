package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// callbackHeaders are typical headers of a browser behind a proxy, so that a body has
// the size of a gateway's.
const callbackHeaders = `"accept":"text/event-stream","accept-encoding":"gzip, deflate, br, zstd","accept-language":"en-GB,en;q=0.8,de;q=0.5",` +
	`"cache-control":"no-cache","cookie":"session=0123456789abcdef0123456789abcdef; theme=dark","host":"app.example.org","pragma":"no-cache",` +
	`"referer":"https://app.example.org/projects/overview","sec-fetch-dest":"empty","sec-fetch-mode":"cors","sec-fetch-site":"same-origin",` +
	`"sec-ch-ua":"\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"","sec-ch-ua-mobile":"?0","sec-ch-ua-platform":"\"Linux\"","dnt":"1","priority":"u=4",` +
	`"traceparent":"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",` +
	`"user-agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",` +
	`"x-forwarded-for":"10.0.39.16","x-forwarded-proto":"https"`

// appendCallback appends a body without encoding/json, whose cost is not part of the call.
func appendCallback(b []byte, action string, t token, id int) []byte {
	return fmt.Appendf(b, `{"action":"%s","token":"%s","request":{"url":"/bench/stream?id=%d","headers":{%s},`+
		`"method":"GET","remote_addr":"127.0.0.1:50000"},"gateway":"limit"}`, action, t[:], id, callbackHeaders)
}

// runCallbacks sends the callbacks of o.count clients that connect and leave, and prints
// the CPU time of one call.
func runCallbacks(ctx context.Context, o options, w io.Writer) error {
	if o.callbackURL == "" {
		url, stop, err := startBackend(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }()
		o.callbackURL = url
	}
	begin, err := cpuTime()
	if err != nil {
		return err
	}
	if err := callAll(ctx, o); err != nil {
		return err
	}
	end, err := cpuTime()
	if err != nil {
		return err
	}
	calls := 2 * o.count
	return json.NewEncoder(w).Encode(struct {
		Count int     `json:"count"`
		CPU   float64 `json:"cpu_us_per_call"`
	}{calls, float64(end-begin) / float64(time.Microsecond) / float64(calls)})
}

// callAll sends all callbacks and stops at the first error.
func callAll(ctx context.Context, o options) error {
	c := newCaller(o.callbackURL, o.concurrency)
	defer c.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(o.concurrency, o.count) {
		wg.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1)) - 1
				if id >= o.count {
					return
				}
				t := newToken()
				for _, action := range []string{actionConnect, actionDisconnect} {
					// net/http may still read the last body, so make a new one.
					if err := c.post(ctx, appendCallback(nil, action, t, id)); err != nil {
						cancel(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
