package limit

import "fmt"

// Files is how the descriptors of a process are divided: what clients may use, and what is
// reserved so that the process works when they use all of it.
type Files struct {
	Public    int // connections on public listeners that are served
	Waiting   int // more of them, whose requests are refused
	Internal  int // connections on the internal listener
	Callbacks int // connections to the backend
	Kept      int // for storage and the process itself
}

// LeastFiles is the lowest limit of open files that the program works under.
const LeastFiles = 128

// DivideFiles divides the limit of open files of a process. The reserved parts grow with
// it, but more slowly. It returns an error below LeastFiles.
func DivideFiles(limit uint64) (Files, error) {
	if limit < LeastFiles {
		return Files{}, fmt.Errorf("the limit of open files is %d, and must be %d or more: raise it with `ulimit -n` or LimitNOFILE", limit, LeastFiles)
	}
	const most = 10_000_000 // "unlimited" is a number too
	n := int(min(limit, most))
	f := Files{
		Kept:      min(44+n/32, 192),
		Internal:  min(12+n/64, 512), // idle ones of a backend make room
		Callbacks: min(12+n/64, 1152),
		Waiting:   min(8+n/128, 64),
	}
	f.Public = n - f.Kept - f.Internal - f.Callbacks - f.Waiting
	return f, nil
}
