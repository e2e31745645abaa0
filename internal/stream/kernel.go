package stream

// kernel is what parked streams need of the system: sockets that do not block,
// and one place to hear of them all. Tests have one of their own.
type kernel interface {
	// send writes what the socket takes at once. n is less than len(p), and err
	// nil, if it took no more.
	send(fd int32, p []byte) (n int, err error)
	// receive reads what has come, at most len(p) bytes. n is 0 with a nil error
	// if nothing has, and gone is true if nothing will.
	receive(fd int32, p []byte) (n int, gone bool)
	// add begins to report what happens to a socket: bytes that come, and
	// hang-ups. With once it reports a single time, until rearm.
	add(fd int32, key uint64, once bool) error
	// await begins or ends to report that the socket takes bytes.
	await(fd int32, key uint64, writable bool) error
	// rearm has a socket reported that was added with once.
	rearm(fd int32, key uint64, once bool) error
	// close closes a socket; nothing is reported of it any more.
	close(fd int32)
	// wait waits for reports and gives some, none after stop.
	wait(dst []report) []report
	stop()
	// free gives up what the kernel itself uses. Nothing may be called after it.
	free()
}

// report is what was heard of one socket.
type report struct {
	key                      uint64
	readable, writable, gone bool
}
