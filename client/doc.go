// Package client lets a Go program use a Tidegate gateway. It sends events to streams
// and topics, reads the gateway's callbacks, and lists streams, topics and events.
//
// Start with [New] and [Client.Send]:
//
//	tide, err := client.New(client.Options{URL: "http://127.0.0.1:8081", Secret: secret})
//	…
//	_, err = tide.Send(ctx, client.Message{
//		Topic: "news",
//		Event: &client.Event{Name: "headline", Data: `{"text":"…"}`},
//	})
//
// The URL is that of the gateway's internal listener, not of the public one to
// which browsers connect. One Client serves a whole program.
//
// # Who may open a stream
//
// The gateway asks your program about each stream by a POST, the callback. Read it
// with [ReadCallback], attach the stream to its topics with [Client.Subscribe], and
// answer with any 2xx status. To refuse the stream, answer with 401 or 403. The
// first example in example_test.go is a complete backend.
//
// # Which call to use
//
//   - [Client.Send] for one event. Send to a topic rather than to a token: a topic
//     keeps events for clients that are away, and reaches every tab of a user.
//   - [Client.SendBatch] for many events: one request in place of a thousand.
//   - [Client.Subscribe] in the handler of a callback, and again whenever an open
//     stream is to follow another topic.
//   - [Client.EndStream] when a user logs out. Send a [Message] with Close instead if
//     the browser must learn why.
//   - [Client.Streams], [Client.Topics] and [Client.Events] for tools and tests. They
//     read a snapshot page by page; do not decide by them whom to send to.
//
// To follow a stream as a browser does, use package sse. To run tasks whose progress
// browsers watch, use package task with task/publish.
//
// # Errors and repeats
//
// What the gateway refuses is an [*Error] with its status and [Code]; find it with
// [errors.AsType], or compare [CodeOf]. [ErrUnreachable] means that no whole answer
// came, so it is unknown whether the gateway did what it was asked.
//
// A call that failed for now is repeated, but only where a repeat does no harm: see
// Options.Retries. No error text contains a token or a secret.
//
// # Compatibility
//
// The package uses the standard library alone. Until version 1 an exported name may
// change between minor versions; the changelog then names its replacement. From version 1
// on, none is changed or removed. The gateway's API only grows, so a Client also works with
// a newer gateway.
package client
