package checksum

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// root is a directory that tasks may read.
type root struct {
	dir  string      // absolute
	info fs.FileInfo // of when it was configured
}

// errPseudo is of places such as /proc.
var errPseudo = errors.New("not a file system with files of its own")

// newRoot looks at a directory that was configured.
func newRoot(dir string) (root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return root{}, err
	}
	handle, err := os.OpenRoot(abs)
	if err != nil {
		return root{}, err
	}
	defer handle.Close()
	info, err := handle.Stat(".")
	if err != nil {
		return root{}, err
	}
	// By whatever name: /, /., a symbolic link to it.
	whole, err := os.Stat(string(filepath.Separator))
	switch {
	case err != nil:
		return root{}, err
	case os.SameFile(info, whole):
		return root{}, errors.New("is the whole machine; name a directory below it")
	case onPseudo(handle):
		return root{}, errPseudo
	}
	return root{abs, info}, nil
}

// open opens the root, if it is the directory that was configured.
func (r root) open() (*os.Root, error) {
	handle, err := os.OpenRoot(r.dir)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", bare(err))
	}
	if info, err := handle.Stat("."); err != nil || !os.SameFile(info, r.info) {
		handle.Close()
		return nil, errors.New("the root was replaced by another directory; it is read again after a restart of the server")
	}
	return handle, nil
}

// name is how results call the root.
func (r root) name() string { return filepath.Base(r.dir) }

// onPseudo reports whether a directory is on a file system such as /proc.
func onPseudo(dir *os.Root) bool {
	f, err := dir.Open(".")
	if err != nil {
		return false // the reader gets the error
	}
	defer f.Close()
	return fileOnPseudo(f)
}

func fileOnPseudo(f *os.File) (is bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return true
	}
	if conn.Control(func(fd uintptr) { is = isPseudo(fd) }) != nil {
		return true
	}
	return is
}
