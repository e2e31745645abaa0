package main

import (
	"os"
	"syscall"
)

// datasync writes the file's data to the disk, and only the metadata that reading it
// needs.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
