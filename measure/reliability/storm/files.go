package main

import (
	"fmt"
	"syscall"
)

// spare is the number of open files besides the clients.
const spare = 500

// enoughFiles checks the limit of open files. The Go runtime has raised the soft limit
// to the hard one.
func enoughFiles(clients int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if uint64(clients+spare) > limit.Cur {
		return fmt.Errorf("%d clients need %d open files, but the limit is %d: raise `ulimit -n`, or use fewer --clients", clients, clients+spare, limit.Cur)
	}
	return nil
}
