package main

import (
	"fmt"
	"syscall"
)

// spare is what the process opens besides its clients.
const spare = 500

// enoughFiles looks at the limit of open files. The Go runtime has raised the
// soft one to the hard one.
func enoughFiles(clients int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if uint64(clients+spare) > limit.Cur {
		return fmt.Errorf("%d clients need %d open files, and %d are allowed: raise `ulimit -n`, or take fewer --clients", clients, clients+spare, limit.Cur)
	}
	return nil
}
