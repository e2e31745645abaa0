//go:build unix

package main

import (
	"context"
	"syscall"
)

// smallBuffer shrinks the receive buffer of a socket, so that unread data waits in the
// server.
func smallBuffer(_ context.Context, _, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
	})
	if err != nil {
		return err
	}
	return failed
}
