package stream

// kernel is what parked streams need of the operating system: sockets that do not block,
// and one place where all their events are reported. Tests have an implementation of
// their own.
type kernel interface {
	// send writes what the socket takes at once. If that is not all, n is less than
	// len(p) and err is nil.
	send(fd int32, p []byte) (n int, err error)
	// receive reads what has arrived, at most len(p) bytes; n is 0 if nothing has. gone
	// reports that nothing will arrive any more.
	receive(fd int32, p []byte) (n int, gone bool)
	// add starts to report the events of a socket: bytes that arrive, and hang-ups.
	// With once it reports a single event, until rearm.
	add(fd int32, key uint64, once bool) error
	// await starts or ends to report that the socket is writable.
	await(fd int32, key uint64, writable bool) error
	// rearm makes the kernel report one more event of a socket that was added with
	// once.
	rearm(fd int32, key uint64, once bool) error
	// close closes a socket; its events are not reported any more.
	close(fd int32)
	// wait waits for events and appends some to dst; none after stop.
	wait(dst []socketEvent) []socketEvent
	stop()
	// free frees what the kernel itself uses. Nothing may be called after it.
	free()
}

// socketEvent is what has happened to one socket.
type socketEvent struct {
	key                      uint64
	readable, writable, gone bool
}
