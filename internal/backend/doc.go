// Package backend answers the gateway's callbacks and owns what streams are about:
// tasks and version notices.
//
// Its parts, in the order in which a stream meets them:
//
//   - the callback endpoint ([Backend.Callback]) authenticates the caller and parses the
//     callback;
//   - the route turns the URL that a client asked for into topics;
//   - the connection manager subscribes the stream's token to them;
//   - the task logs and the version service write the topics;
//   - the REST endpoints ([Backend.REST]) start tasks and announce versions.
//
// No part keeps a table of connections. Only the gateway knows which streams are open;
// the backend asks it with package client when it needs to know. So nothing here can go
// stale: events go to topics, not to streams.
//
// No lock is held over a call to the gateway: a gateway that hangs delays the calls that
// are made to it, and nothing else.
package backend
