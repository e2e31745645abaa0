package segments

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// FS is the file system as the log uses it. Its methods may be called concurrently. Tests
// inject faults with their own.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// Names lists a folder; the error is fs.ErrNotExist if there is none.
	Names(dir string) ([]string, error)
	MkdirAll(dir string) error
	// SyncDir has the entries of a folder survive a loss of power.
	SyncDir(dir string) error
}

// File is one file. It is written by one goroutine at a time and read by any.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Datasync has what was written survive a loss of power.
	Datasync() error
	// Allocate reserves room up to a size. It may do nothing.
	Allocate(size int64) error
}

// system is the file system of the machine.
type system struct{}

func (system) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }
func (system) Remove(name string) error     { return os.Remove(name) }
func (system) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o700) }

func (system) Names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

func (system) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type systemFile struct{ *os.File }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// writeFile replaces a file, so that after a loss of power there is the old one or
// the new one.
func writeFile(files FS, name string, text []byte) error {
	err := writeNew(files, name+newSuffix, text)
	if isTemporary(err) && overwrite(files, name, text) == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if err := files.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(name))
}

func writeNew(files FS, name string, text []byte) error {
	f, err := files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Datasync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, files.Remove(name)) // an unfinished file
	}
	return err
}

// overwrite writes to a small file that is there, where the disk has no room for another
// one. A loss of power meanwhile may leave a damaged one.
func overwrite(files FS, name string, text []byte) error {
	f, err := files.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		// A file that is truncated frees its block, and may not get one again.
		_, err = f.WriteAt(append(text, bytes.Repeat([]byte{'\n'}, max(0, int(size)-len(text)))...), 0)
	}
	if err == nil {
		err = f.Datasync()
	}
	return errors.Join(err, f.Close())
}

// readFile reads a small file whole, up to a bound.
func readFile(files FS, name string, most int64) ([]byte, error) {
	f, err := files.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.NewSectionReader(f, 0, most))
}

// newSuffix is of a file that is being written. One that is there at a start was not finished
// and is ignored.
const newSuffix = ".new"

const segmentSuffix = ".seg"

// segmentNames lists the segments of a folder, oldest first. Unfinished files are
// removed if clean is true.
func segmentNames(files FS, dir string, clean bool) ([]string, error) {
	all, err := files.Names(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		switch {
		case strings.HasSuffix(name, newSuffix) && clean:
			if err := files.Remove(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		case isSegmentName(name):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
