package wire

import (
	"bytes"
	"fmt"
	"strings"
)

const referenceTop = `# Errors and reasons

<!-- Generated from internal/wire by: go test ./internal/wire -run TestReference -update -->

For authors of clients and backends, and for operators: every error code, and every reason for which a
stream ends, with what to do.

## Error codes

Errors are ` + "`" + `{"error":{"message":"…","code":"…"}}` + "`" + `. The code is part of the interface: it is never renamed,
and programs may switch on it. The message is for people and may change. Some endpoints of the backend keep
the older form ` + "`" + `{"error":"…"}` + "`" + `, see [the backend](protocol.md#the-backend).

"Every route" means every route that the page of the protocol has. With ` + "`--retryable-rejections`" + `, streams
that would be answered with 5xx or 429 get 200, ` + "`retry:`" + ` and the end instead, so that EventSource comes back.

| code | status | where |
| --- | --- | --- |
`

const reasonsTop = `
## Why a stream ends

The disconnect callback has ` + "`reason` and `detail`" + `, and ` + "`tidegate_streams_ended_total`" + ` has them as labels.
Both lists are closed. A client does not see them.
`

// Reference returns docs/reference/errors.md.
func Reference() []byte {
	var out bytes.Buffer
	out.WriteString(referenceTop)
	for _, c := range codeTable {
		fmt.Fprintf(&out, "| [`%s`](#%s) | %s | %s |\n", c.Code, strings.ToLower(string(c.Code)), c.Status, c.Where)
	}
	for _, c := range codeTable {
		fmt.Fprintf(&out, "\n### `%s`\n\n%s\n\n**What to do:** %s\n", c.Code, c.Meaning, c.Do)
	}
	out.WriteString(reasonsTop)
	for _, e := range endingTable {
		name := "`" + string(e.Reason) + "`"
		if e.Detail != DetailNone {
			name += ", `" + string(e.Detail) + "`"
		}
		fmt.Fprintf(&out, "\n### %s\n\n%s\n\n**What follows:** %s\n", name, e.When, e.Next)
	}
	return out.Bytes()
}
