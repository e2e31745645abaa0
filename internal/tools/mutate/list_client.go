package main

// clientMutants are mistakes in the packages that programs outside use, and in the heap.
var clientMutants = []mutant{
	{name: "client: what may have been done is repeated", dir: "client", find: `k\.repeatable && errors\.Is\(err, ErrUnreachable\)`, with: "errors.Is(err, ErrUnreachable)"},
	{name: "client: a refusal that may have taken it is repeated", dir: "client", find: `k\.repeatable && mayPass\(e\.Status\)`, with: "mayPass(e.Status)"},
	{name: "client: a connection that was not opened is not tried again", dir: "client", find: `ok && e\.Op == "dial"`, with: `ok && e.Op == "read"`},
	{name: "client: Retry-After is ignored", dir: "client", find: `d = max\(d, e\.RetryAfter\)`, with: "_ = e"},
	{name: "client: a repeat outlives its key", dir: "client", find: `time\.Since\(r\.began\)\+d\+r\.timeout > keyLifetime`, with: "d > keyLifetime"},
	{name: "client: a repeat has another key", dir: "client", find: `for retry := newRetry\(c\); ; \{`, with: `for retry := newRetry(c); ; k.body = bytes.Replace(k.body, []byte("idempotency_key\":\""), []byte("idempotency_key\":\"x"), 1) {`},
	{name: "client: a transient event has a key", dir: "client", find: `m\.IdempotencyKey == "" && !transient`, with: `m.IdempotencyKey == "" && (transient || !transient)`},
	{name: "client: half an answer to a batch counts", dir: "client", find: `err := scanner\.Err\(\); err != nil \{`, with: "err := scanner.Err(); err != nil && len(lines) < n {"},
	{name: "client: an error shows the URL", dir: "client", find: `ErrUnreachable, withoutURL\(err\)\)`, with: "ErrUnreachable, err)"},
	{name: "client: a listing hides that nodes are missing", dir: "client", find: `return incomplete\(missing\)`, with: "return nil"},
	{name: "client: an old signature is good", dir: "client", find: `d > SignatureTolerance \|\| `, with: ""},
	{name: "client: v1 counts beside v2", dir: "client", find: `(signed\.Target\}\n\tif )len\(s\.v2\) == 0 \{`, with: "${1}len(s.v1) > 0 {"},
	{name: "client: an empty secret signs", dir: "client", find: `secret != "" && signature\.Matches`, with: "signature.Matches"},
	{name: "client: a body is read before the caller is known", dir: "client", find: `return nil, unauthorized\(err\)`, with: "return func([]byte) bool { return false }, nil"},
	{name: "sse: a write deadline stays behind", dir: "sse", find: `\{ _ = s\.rc\.SetWriteDeadline\(time\.Time\{\}\) \}`, with: "{}"},
	{name: "sse: a write has no deadline", dir: "sse", find: `s\.rc\.SetWriteDeadline\(time\.Now\(\)\.Add\(s\.opts\.WriteTimeout\)\)`, with: "s.rc.SetWriteDeadline(time.Time{})"},
	{name: "sse: a write is not flushed", dir: "sse", find: `(_, err = s\.w\.Write\(blocks\)\n\t\}\n\tif err == nil) \{`, with: "$1 && len(blocks) > 1<<20 {"},
	{name: "sse: the next heartbeat does not wait for silence", dir: "sse", find: `\t\t\ttimer\.Reset\(s\.opts\.Heartbeat\)`, with: "\t\t\ttimer.Reset(time.Nanosecond)"},
	{name: "sse: an event after a close is lost", dir: "sse", find: `return open, s\.write\(blocks\)\n\t\}\n\}`, with: "if !open {\n\t\t\treturn open, nil\n\t\t}\n\t\treturn open, s.write(blocks)\n\t}\n}"},
	{name: "heap: an item that is last is moved to where it was", dir: "internal/heap", find: `at < end \{`, with: "at <= end {"},
	{name: "heap: an item does not move to the front", dir: "internal/heap", find: `at > 0 && x\.Before`, with: "at < 0 && x.Before"},
	{name: "heap: an item that is out keeps its place", dir: "internal/heap", find: `\tplace\.n = 0\n`, with: ""},
	{name: "heap: the right child is not looked at", dir: "internal/heap", find: `right < len\(h\.items\) && `, with: "right < 0 && "},
}
