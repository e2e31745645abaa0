package main

import (
	"os"
	"syscall"
)

// datasync has the disk keep what was written, and of the file's attributes no
// more than it takes to read that.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
