package app

import "syscall"

// spareFiles is what is kept of the open-file limit for listeners, callbacks,
// internal callers and files.
const spareFiles = 512

// maxStreams is how many streams the process can hold, each of which is an open
// file: the limit that it runs under, less what it needs for itself.
func maxStreams() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 10_000
	}
	const most = 10_000_000 // "unlimited" is a number too
	return int(min(max(limit.Cur, 2*spareFiles)-spareFiles, most))
}
