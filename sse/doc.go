// Package sse reads and writes server-sent events: the text/event-stream format and
// the client behaviour of the WHATWG HTML standard, section 9.2.
//
// # Send events to a browser
//
// Start with [Accept] in a handler of yours, and [Writer.Serve] or [Writer.Send]:
//
//	func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
//		stream, err := sse.Accept(w, r, nil)
//		if err != nil {
//			return // Accept has answered
//		}
//		events, leave := f.join(sse.LastEventID(r))
//		defer leave()
//		err = stream.Serve(r.Context(), events)
//		…
//	}
//
// It takes care of what is easy to get wrong. The headers go out at once, and each write is
// flushed. Each write has a deadline, which is cleared again: on HTTP/2 it would reset an
// idle stream. Heartbeats keep a silent stream open.
//
// One handler goroutine a stream is right up to some ten thousand streams, and as long
// as streams may end with the program. Beyond that, let the Tidegate gateway hold the
// streams, and send to it with package client.
//
// # Receive events
//
// Start with [NewClient] and range over [Client.Events]. A [Client] is what EventSource
// is to a browser: it connects, decodes, waits, reconnects, and resumes after the last
// event id. To read a stream that you have already, such as a file or the body of a
// response, range over [Decode].
//
// # Encode and decode
//
// The parts beneath can be used by themselves:
//
//   - [Append] and its relatives encode. They append whole blocks to a byte slice, so
//     one encoded event can be shared by any number of streams: see [Writer.Write].
//   - [Decoder] follows the standard's rules of interpretation to the letter, yields an
//     event as soon as its blank line has arrived, and bounds the memory that a stream
//     can make it use.
//
// A [Writer], a [Decoder] and a [Client] belong to one goroutine at a time. The package
// uses the standard library only, starts no goroutine that outlives a call or a range
// loop, and does not log.
//
// # Compatibility
//
// Until version 1 an exported name may change between minor versions; the changelog then
// names its replacement. From version 1 on, none is changed or removed. The bytes that
// [Append] writes for an event are part of the promise.
package sse
