package main

// wireMutants are mistakes in what is read from and written to clients.
var wireMutants = []mutant{
	{name: "wire: JSON nests without a bound", dir: "internal/wire", find: `len\(s\.open\) == maxDepth`, with: "len(s.open) == 2*maxDepth"},
	{name: "wire: a text ends at any control character", dir: "internal/wire", find: `b\[n\] >= ' ' \{`, with: "b[n] >= '\\t' {"},
	{name: "wire: a word finds a special byte one too late", dir: "internal/wire", find: `TrailingZeros64\(found\)/8`, with: "TrailingZeros64(found)/8+1"},
	{name: "wire: half a surrogate pair is a character", dir: "internal/wire", find: `pair != utf8\.RuneError \{`, with: "pair != 0 {"},
	{name: "wire: a number may have a leading zero", dir: "internal/wire", find: `\tif s\.peek\(\) == '0' \{\n\t\ts\.at\+\+\n\t\} else \{\n\t\ts\.digits\(\)\n\t\}\n`, with: "\ts.digits()\n"},
	{name: "wire: an event name may have a line end", dir: "internal/wire", find: `"\\r\\n\\x00"\)`, with: "\"\\x00\")"},
	{name: "wire: a message may have a token and a topic", dir: "internal/wire", find: `case f\.token\.kind != kindAbsent && f\.topic\.kind != kindAbsent:`, with: "case false:"},
	{name: "wire: a key may be too long", dir: "internal/wire", find: `len\(m\.IdempotencyKey\) > MaxIdempotencyKeyBytes`, with: "len(m.IdempotencyKey) > MaxIdempotencyKeyBytes+1"},
	{name: "wire: a signature leaves out the target", dir: "internal/wire", find: `"\." \+ s\.Target \+ "\."`, with: `".."`},
	{name: "wire: lines of a batch share one key", dir: "internal/wire", find: `key \+ "\\x00" \+ strconv\.Itoa\(line\)`, with: `key + "\x00" + strconv.Itoa(line/2)`},
	{name: "wire: U+2028 is not escaped", dir: "internal/wire", find: `(case r == '\\u2028':\n\t\t\tescape = ).*`, with: "$1\"\""},
	{name: "packed: a line of another text is shared", dir: "internal/packed", find: `l\.text != string\(text\[f\.start:f\.end\]\) \|\| `, with: "false && l.text != string(text[f.start:f.end]) || "},
	{name: "packed: a line goes at its first sight", dir: "internal/packed", find: `case t\.first\(f\.hash\) \|\| room == 0:`, with: "case room == 0:"},
	{name: "packed: a line goes while others refer to it", dir: "internal/packed", find: `l\.refs > 0 \{`, with: "l.refs > 1 {"},
	{name: "packed: the table is larger than its bound", dir: "internal/packed", find: `t\.bytes\+size <= t\.maxText`, with: "t.bytes <= t.maxText"},
	{name: "packed: a free place is given away twice", dir: "internal/packed", find: `number, t\.free = t\.free\[last\], t\.free\[:last\]`, with: "number = t.free[last]"},
	{name: "packed: cookies are shared", dir: "internal/packed", find: `if !own\[f\.tag\] && `, with: "if "},
	{name: "sse: a CR and its LF are two lines", dir: "sse", find: `if l\.buf\[l\.start\] == '\\n' \{`, with: "if false {"},
	{name: "sse: a line may be longer than its bound", dir: "sse", find: `if i-l\.start > l\.max \{`, with: "if i-l.start > l.max+1 {"},
	{name: "sse: an event may be larger than its bound", dir: "sse", find: `if len\(d\.data\) > d\.opts\.MaxEvent \{`, with: "if len(d.data) > 1+d.opts.MaxEvent {"},
	{name: "sse: an id counts before its block ends", dir: "sse", find: `(\t\td\.id = validString\(value\)\n)`, with: "$1\t\td.lastID = d.id\n"},
	{name: "sse: an id with NUL counts", dir: "sse", find: `bytes\.IndexByte\(value, 0\) >= 0`, with: "bytes.IndexByte(value, 0) > len(value)"},
	{name: "sse: an event without data is dispatched", dir: "sse", find: `if n := len\(d\.data\); n > 0 \{`, with: "if n := max(1, len(d.data)); d.data != nil || n > 1 {"},
	{name: "sse: a byte order mark is text", dir: "sse", find: `if d\.line == 1 \{`, with: "if d.line == 0 {"},
	{name: "sse: the client resumes without an id", dir: "sse", find: `req\.Header\.Set\("Last-Event-ID", c\.lastID\)`, with: `_ = c.lastID`, tests: "^TestClientResumesAfterTheLastEvent$"},
	{name: "sse: retry: 0 makes a busy loop", dir: "sse", find: `max\(retry, minServerRetry\)`, with: "retry"},
	{name: "sse: 204 does not end a client", dir: "sse", find: `StatusCode == http\.StatusNoContent \{`, with: "StatusCode == http.StatusNoContent+1 {"},
}

// limitMutants are mistakes in what clients may cost.
var limitMutants = []mutant{
	{name: "limit: one connection too many from an address", dir: "internal/limit", find: `int\(n\.conns\)\+conns > most`, with: "int(n.conns)+conns > most+1", tests: "^TestX14(ThisMachine|OneAddress)"},
	{name: "limit: an address is never forgotten", dir: "internal/limit", find: `\tif n == \(counts\{\}\) \{`, with: "\tif false {", tests: "^TestX14Hijacked"},
	{name: "limit: one seat too many", dir: "internal/limit", find: `p\.seated < p\.opts\.Seats \{`, with: "p.seated <= p.opts.Seats {"},
	{name: "limit: a closed connection keeps its seat", dir: "internal/limit", find: `(\tcase seat:\n)\t\tp\.seated--\n`, with: "$1", tests: "^TestX14AFullListener"},
	{name: "limit: a connection that is closed counts for its address", dir: "internal/limit", find: `(\t\tc\.pool\.mu\.Unlock\(\)\n)\t\tc\.dropAddress\(\)\n`, with: "$1"},
	{name: "limit: one address has more than its share of bytes", dir: "internal/limit", find: `had\+n > f\.most/addressShare`, with: "had+n > f.most"},
	{name: "limit: bytes that are done still count", dir: "internal/limit", find: `^\tf\.sum -= n\n`, with: ""},
	{name: "limit: a rate has no bound", dir: "internal/limit", find: `ok := b\.left >= 1`, with: "ok := b.left >= 0"},
	{name: "limit: a quiet address saves up connects", dir: "internal/limit", find: `b\.left = min\(burst, (b\.left\+now\.Sub\(b\.at\)\.Seconds\(\)\*r\.perSecond)\)`, with: "b.left = $1"},
	{name: "limit: a status that was not set is sent", dir: "internal/limit", find: `if w\.status > 0 \{`, with: "if w.status >= 0 {"},
}
