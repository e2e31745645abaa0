package main

// gatewayMutants are mistakes in streams, sends, callbacks and admission.
var gatewayMutants = []mutant{
	{
		name: "gateway/table: removal leaves a gap in a chain of probes",
		dir:  "internal/gateway",
		find: `^\ts\.close\(i\)\n`, with: "",
	},
	{
		name: "gateway/table: an entry moves up in front of its home",
		dir:  "internal/gateway",
		find: `&mask >= \(i-free\)&mask`, with: "&mask <= (i-free)&mask",
	},
	{
		name: "gateway/table: removal gives up behind the first entry at home",
		dir:  "internal/gateway",
		find: `(free = i\n\t\t)\}`, with: "$1} else {\n\t\t\treturn\n\t\t}",
	},
	{
		name: "gateway/table: one stream too many",
		dir:  "internal/gateway",
		find: `\.count\.Add\(1\) > int64`, with: ".count.Add(1) > 1+int64",
	},
	{
		name: "gateway/table: a refused stream stays counted",
		dir:  "internal/gateway",
		find: `(count\.Add\(1\) > int64\(\w+\) \{\n)\t\t\w+\.count\.Add\(-1\)\n`, with: "$1",
	},
	{
		name: "gateway: a stream that ends keeps its place",
		dir:  "internal/gateway",
		find: `(\tif removed \{\n)\t\t\w+\.count\.Add\(-1\)\n`, with: "$1",
	},
	{
		name: "gateway: a stream that ends keeps its place at its address",
		dir:  "internal/gateway",
		find: `(if \w+\.table\.remove\(c\) \{\n)\t\t\w+\.opts\.Limits\.Release\(&c\.hold\)\n`, with: "$1",
	},
	{
		name: "gateway: a stream that ends stays at its topics",
		dir:  "internal/gateway",
		find: `^\t\t\w+\.opts\.Topics\.Leave\(&c\.member\)\n`, with: "",
	},
	{
		name: "gateway: a stream that ends has no disconnect",
		dir:  "internal/gateway",
		find: `(\n\t\t"duration", c\.age\(\)\)\n)\t\w+\.\w+\(c, why\)\n`, with: "$1",
	},
	{
		name: "gateway: a refused client has a disconnect",
		dir:  "internal/gateway",
		find: `if a\.Accepted\(\) \|\| a\.Uncertain\(\) \{`, with: "if true {",
	},
	{
		name: "gateway: a client that left during an uncertain callback has no disconnect",
		dir:  "internal/gateway",
		find: `if a\.Accepted\(\) \|\| a\.Uncertain\(\) \{`, with: "if a.Accepted() {",
	},
	{
		name: "gateway: a direct event overtakes an earlier one of a topic",
		dir:  "internal/gateway",
		find: `^\t\w+\.opts\.Topics\.Settle\(b, &c\.member\).*\n`, with: "",
	},
	{
		name: "gateway: a batch takes one line too many",
		dir:  "internal/gateway",
		find: `n == maxBatchLines`, with: "n == maxBatchLines+1",
	},
	{
		name: "gateway: a line that is too long is not skipped whole",
		dir:  "internal/gateway",
		find: `if long = long \|\| `, with: "if long = ",
	},
	{
		name: "callback: any answer is a yes",
		dir:  "internal/gateway/callback",
		find: `a\.Status >= 200 && a\.Status < 300`, with: "a.Status >= 200 && a.Status < 400",
		in: "internal/gateway",
	},
	{
		name: "callback: a callback without an answer counts as one",
		dir:  "internal/gateway/callback",
		find: `if a\.Status > 0 \{`, with: "if a.Status >= 0 {",
		in: "internal/gateway",
	},
	{
		name: "callback: answers are never counted",
		dir:  "internal/gateway/callback",
		find: `if a\.Status > 0 \{`, with: "if a.Status < 0 {",
		in: "internal/gateway",
	},
	{
		name: "callback: no answer ends the pause of the queue",
		dir:  "internal/gateway/callback",
		find: `case a\.Status > 0:`, with: "case a.Status >= 0:",
		in: "internal/gateway",
	},
	{
		name: "callback: only a yes ends the pause of the queue",
		dir:  "internal/gateway/callback",
		find: `case a\.Status > 0:`, with: "case a.Accepted():",
		in: "internal/gateway",
	},
	{
		name: "callback: a disconnect is never retried",
		dir:  "internal/gateway/callback",
		find: `again := a\.Retryable\(\)`, with: "again := false && a.Retryable()",
		in: "internal/gateway",
	},
	{
		name: "callback: a refused disconnect is retried for ever",
		dir:  "internal/gateway/callback",
		find: `\(a\.Status < 400 \|\| a\.Status >= 500\)`, with: "(a.Status < 500 || a.Status >= 400)",
		in: "internal/gateway",
	},
	{
		name: "callback: the youngest disconnect goes first",
		dir:  "internal/gateway/callback",
		find: `return d\[i\]\.order < d\[j\]\.order`, with: "return d[i].order > d[j].order",
		in: "internal/gateway",
	},
	{
		name: "callback: the youngest disconnect gives way",
		dir:  "internal/gateway/callback",
		find: `excess, why = q\.oldest, queueFull`, with: "excess, why = q.youngest, queueFull",
		in: "internal/gateway",
	},
	{
		name: "callback: the queue is longer than its bound",
		dir:  "internal/gateway/callback",
		find: `case len\(q\.items\) > q\.opts\.Size:`, with: "case len(q.items) > q.opts.Size+1:",
		in: "internal/gateway",
	},
	{
		name: "callback: one address fills the queue",
		dir:  "internal/gateway/callback",
		find: `s\.count > max\(1, q\.opts\.Size/shareDivisor\)`, with: "s.count > q.opts.Size",
		in: "internal/gateway",
	},
	{
		name: "callback: a slot is kept behind the timeout",
		dir:  "internal/gateway/callback",
		find: `(\tcase <-timeout:\n\t\}\n)\tc\.slots\.Release\(\)\n`, with: "$1\tdefer c.slots.Release()\n",
		in: "internal/gateway",
	},
	{
		name: "admission: a granted slot is lost when its client leaves",
		dir:  "internal/gateway/admission",
		find: `\tif w\.has \{\n\t\treturn false\n\t\}\n`, with: "\tif w.has {\n\t\treturn true\n\t}\n",
	},
	{
		name: "admission: addresses do not take turns",
		dir:  "internal/gateway/admission",
		find: `^\ts\.order\.MoveToBack\(next\)\n`, with: "",
	},
	{
		name: "admission: connects ignore busy CPUs",
		dir:  "internal/gateway/admission",
		find: `l\.runnable\(\) == 0 && `, with: "",
	},
	{
		name: "admission: a wait that ends in an error counts for ever",
		dir:  "internal/gateway/admission",
		find: `(l\.next\.Acquire\(ctx, who, deadline\.C\); err != nil \{\n)\t\tl\.Release\(\)\n`, with: "$1",
	},
	{
		name: "backoff: the pause does not grow",
		dir:  "internal/backoff",
		find: `^\t\td \*= 2\n`, with: "",
	},
}
