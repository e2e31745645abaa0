package checksum

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxDepth is how many directories deep a file may lie: each is opened on the way.
const maxDepth = 128

// Why a directory is not entered. Errors of the system are reported as they are.
var (
	errLeftOut  = errors.New("hidden or excluded")
	errLink     = errors.New("symbolic link")
	errReplaced = errors.New("replaced while it was opened")
	errDeep     = fmt.Errorf("more than %d directories deep", maxDepth)
)

// openDir opens a directory inside the root, one element after the other, each by
// its name in the one before. The caller closes it.
func (p *place) openDir(name string) (*os.Root, error) {
	dir, err := p.root.OpenRoot(".")
	if err != nil {
		return nil, bare(err)
	}
	if name == "." {
		return dir, nil
	}
	if strings.Count(name, "/") >= maxDepth {
		dir.Close()
		return nil, errDeep
	}
	full := ""
	for element := range strings.SplitSeq(name, "/") {
		full = path.Join(full, element)
		below, err := p.enter(dir, full)
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = below
	}
	return dir, nil
}

// enter opens the directory whose path inside the root is full; parent is the one
// that it is in. [os.Root] follows links that stay below it, and they may lead to
// what is hidden or excluded. So the name must be that of a directory before, and
// what was opened must be that directory.
func (p *place) enter(parent *os.Root, full string) (*os.Root, error) {
	name := path.Base(full)
	before, err := parent.Lstat(name)
	switch {
	case err != nil:
		return nil, bare(err)
	case p.leftOut(full, before):
		return nil, errLeftOut
	case before.Mode()&fs.ModeSymlink != 0:
		return nil, errLink
	case !before.IsDir():
		return nil, syscall.ENOTDIR
	}
	// With the dot, name is opened as a directory or not at all: a FIFO in its
	// place would wait for a writer.
	dir, err := parent.OpenRoot(name + "/.")
	if err != nil {
		return nil, bare(err)
	}
	after, err := dir.Stat(".")
	switch {
	case err != nil || !os.SameFile(before, after):
		err = errReplaced
	case onPseudo(dir):
		err = errPseudo
	default:
		return dir, nil
	}
	dir.Close()
	return nil, err
}

// openFile opens a file that was regular when it was found, and sees that it
// still is: nothing else may have been put in its place. O_NONBLOCK keeps the
// open of a FIFO from waiting for a writer.
func openFile(dir *os.Root, name string) (f *os.File, reason error) {
	before, err := dir.Lstat(name)
	if err != nil {
		return nil, bare(err)
	}
	if !before.Mode().IsRegular() {
		return nil, errors.New("replaced by something that is not a regular file")
	}
	f, err = dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, bare(err)
	}
	after, err := f.Stat()
	switch {
	case err != nil || !os.SameFile(before, after):
		err = errReplaced
	case fileOnPseudo(f):
		err = errPseudo // a file can be mounted by itself
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}
