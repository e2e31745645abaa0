package checksum

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// place is what a task was asked for, found.
type place struct {
	*checker
	hidden bool

	base     root          // the root as configured
	root     *os.Root      // the root, open; nothing outside of it can be reached through it
	path     string        // inside the root, with slashes; "." is the root itself
	excluded []fs.FileInfo // what is excluded and exists
}

// errNowhere says too little to find out what exists outside of the roots.
var errNowhere = errors.New("path is not in a directory that may be read here, or does not exist")

// find looks for the path of p in the roots, one after the other. The caller
// closes the root.
func (c *checker) find(p params) (*place, error) {
	if strings.ContainsRune(p.Path, 0) {
		return nil, errors.New("path has a NUL character")
	}
	for _, base := range c.roots {
		inside, ok := within(base.dir, p.Path)
		if !ok {
			continue
		}
		place, err := c.open(base, inside, p.Hidden)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return place, err
	}
	return nil, errNowhere
}

// within returns name as a path inside dir, by its text alone.
func within(dir, name string) (inside string, ok bool) {
	if name == "" {
		return ".", true
	}
	name = filepath.Clean(filepath.FromSlash(name))
	if filepath.IsAbs(name) {
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return "", false
		}
		name = rel
	}
	return filepath.ToSlash(name), filepath.IsLocal(name)
}

// open opens the root and sees that what is inside it may be read.
func (c *checker) open(base root, inside string, hidden bool) (*place, error) {
	handle, err := base.open()
	if err != nil {
		return nil, err
	}
	p := &place{checker: c, hidden: hidden, base: base, root: handle, path: inside}
	for _, name := range c.excluded {
		if info, err := os.Stat(name); err == nil {
			p.excluded = append(p.excluded, info)
		}
	}
	if err := p.checkPath(); err != nil {
		handle.Close()
		return nil, err
	}
	return p, nil
}

// checkPath walks down to the path, because what would be left out on the way by
// a task for the root must not be readable by asking for it.
func (p *place) checkPath() error {
	dir, err := p.openDir(path.Dir(p.path))
	if err != nil {
		return pathError(err)
	}
	defer dir.Close()
	info, err := dir.Lstat(path.Base(p.path))
	switch {
	case err != nil:
		return pathError(bare(err))
	case info.IsDir():
		below, err := p.enter(dir, p.path)
		if err != nil {
			return pathError(err)
		}
		return below.Close()
	case p.leftOut(p.path, info):
		return errNowhere
	case info.Mode()&fs.ModeSymlink != 0:
		return pathError(errLink)
	case !info.Mode().IsRegular():
		return errors.New("path is neither a directory nor a regular file")
	}
	return nil
}

// pathError is why the path of a task is refused.
func pathError(err error) error {
	switch {
	case errors.Is(err, errLeftOut):
		return errNowhere
	case errors.Is(err, errLink):
		return errors.New("path goes through a symbolic link")
	}
	return fmt.Errorf("path: %w", err)
}

// leftOut reports whether name is hidden or excluded.
func (p *place) leftOut(name string, info fs.FileInfo) bool {
	if !p.hidden && name != "." && strings.HasPrefix(path.Base(name), ".") {
		return true
	}
	full := filepath.Join(p.base.dir, filepath.FromSlash(name))
	for _, excluded := range p.checker.excluded {
		if full == excluded || strings.HasPrefix(full, excluded+string(filepath.Separator)) {
			return true
		}
	}
	for _, excluded := range p.excluded { // by another name
		if os.SameFile(info, excluded) {
			return true
		}
	}
	return false
}

// bare strips an error of the path that the caller knows already, so that no
// place outside of the root is named.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
