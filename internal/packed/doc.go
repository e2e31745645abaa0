// Package packed keeps a client's HTTP request in little memory. A gateway
// needs the request of every idle stream again when the stream ends, for the
// disconnect callback; as a [wire.Request] with its map of headers that is
// several kilobytes a stream, and packed it is less than 200 bytes for a
// browser's request.
//
// Start with [New] and [Store.Pack]; give every request back with
// [Store.Release] when its stream has gone.
//
// # How it gets small
//
// Most of a request is what other clients send as well: the browser's name,
// its languages, what it accepts. Such a header line, name and value, is held
// once in a table that the Store counts references in, and a request has its
// number, of one or two bytes. A line goes into the table when it is seen for
// the second time, so that what only one client sends stays out of it; and
// lines that tell one client from another, such as cookies, never go there.
//
// A packed request is one string without pointers:
//
//	head     1 byte: the method's code, and the form of the remote address
//	method   text, unless it has a code
//	address  6 bytes (IPv4 and port), 18 bytes (IPv6 and port) or text
//	target   text
//	fields   sorted by name, each a tag and what the tag asks for:
//	           0                name (text), value (text)
//	           up to firstRef   value (text); the tag is the code of the name
//	           from firstRef    nothing; tag-firstRef is the number of a line
//
// Tags and the lengths that texts begin with are base-128 varints. The form
// never leaves the process and may change with every release.
package packed
