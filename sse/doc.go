// Package sse reads and writes server-sent events: the text/event-stream format and
// the client behaviour of the WHATWG HTML standard, section 9.2.
//
// Three parts can be used apart from each other:
//
//   - [Append] and its relatives encode. They append whole blocks to a byte slice and
//     leave writing and flushing to the caller, so one encoded event can be shared by
//     any number of streams.
//   - [Decoder], or [Decode] for short, takes a stream apart again. It follows the
//     standard's rules of interpretation to the letter, yields an event as soon as its
//     blank line has arrived, and bounds the memory that a stream can make it use.
//   - [Client] is what EventSource is to a browser: it connects, decodes, waits,
//     reconnects and resumes after the last event id.
//
// The package uses the standard library only, starts no goroutine that outlives a
// range loop, and does not log.
package sse
