// Package callback reports connects and disconnects to the backend over HTTP.
//
// [Caller] posts one callback; a connect waits for its answer, see [Caller.Connect].
// [Queue] delivers disconnects, and retries while the backend is away. The package
// knows neither streams nor clients; a [Message] says what a callback is about.
package callback
