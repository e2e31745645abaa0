// Package packed keeps a client's HTTP request in little memory. A gateway
// needs the request of every idle stream again when the stream ends, for the
// disconnect callback; as a [wire.Request] with its map of headers that is
// several kilobytes a stream, and packed it is less than 200 bytes for a
// browser's request.
//
// Start with [New] and [Store.Pack]; release every request with [Store.Release] when its
// stream has ended.
//
// # How it gets small
//
// Most headers of a request are sent by other clients as well: the name of the browser,
// its languages, what it accepts. Such a header line, name and value, is stored once, in
// a table with reference counts, and a request has its number, of one or two bytes. A
// line is added to the table when it is seen for the second time, so that lines of one
// client only stay out of it. Lines that identify a client, such as cookies, are never
// added.
//
// A packed request is one string without pointers:
//
//	head     1 byte: the method's code, and the form of the remote address
//	method   text, unless it has a code
//	address  6 bytes (IPv4 and port), 18 bytes (IPv6 and port) or text
//	target   text
//	fields   sorted by name, each a tag and what the tag requires:
//	           0                name (text), value (text)
//	           up to firstRef   value (text); the tag is the code of the name
//	           from firstRef    nothing; tag-firstRef is the number of a line
//
// Tags, and the lengths before texts, are base-128 varints. The format never leaves the
// process and may change with every release.
package packed
