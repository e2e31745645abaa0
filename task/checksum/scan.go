package checksum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"tidegate/task"
)

const (
	dirStep    = 512  // names that are read from a directory at a time
	maxSkipped = 1000 // names that a result lists as skipped
	maxNames   = 10   // names that are looked at, hidden ones and directories too, for each file allowed
)

// job is one task at work. It belongs to the task's goroutine.
type job struct {
	*place
	ctx   context.Context
	run   *task.Run
	begun time.Time
	last  time.Time // of the latest progress

	at *os.Root // the directory of the file that is hashed, or nil
	in string   // its path

	names   int    // looked at
	files   []file // found
	bytes   int64  // of files, as found
	skipped []Skipped
	missed  int // skipped in all

	hashed []File
	done   int64 // bytes of files that are behind us; never above bytes
	read   int64 // bytes that were really read
}

// file is a file that was found.
type file struct {
	path string
	size int64
}

// scan finds all files, so that progress is a share of the whole.
func (j *job) scan() error {
	if err := j.reportScan(true); err != nil {
		return err
	}
	if done, err := j.scanOne(); done || err != nil {
		return err
	}
	for dirs := []string{j.path}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		below, err := j.scanDir(dir)
		if err != nil {
			return err
		}
		dirs = append(dirs[:len(dirs)-1], below...)
	}
	slices.SortFunc(j.files, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	return nil
}

// scanOne is scan for a path that is a file.
func (j *job) scanOne() (done bool, err error) {
	dir, err := j.openDir(path.Dir(j.path))
	if err != nil {
		return false, pathError(err)
	}
	defer dir.Close()
	info, err := dir.Lstat(path.Base(j.path))
	if err != nil {
		return false, pathError(bare(err))
	}
	if info.IsDir() {
		return false, nil
	}
	return true, j.found(j.path, info.Size())
}

// scanDir finds the files of one directory and returns the directories in it.
func (j *job) scanDir(dir string) (below []string, err error) {
	if j.ctx.Err() != nil {
		return nil, context.Cause(j.ctx)
	}
	handle, err := j.openDir(dir)
	if errors.Is(err, errLeftOut) {
		return nil, nil
	}
	if err != nil {
		j.skip(dir, err.Error())
		return nil, nil
	}
	defer handle.Close()
	d, err := handle.Open(".")
	if err != nil {
		j.skip(dir, bare(err).Error())
		return nil, nil
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(dirStep)
		for _, entry := range entries {
			isDir, err := j.look(path.Join(dir, entry.Name()), entry)
			if err != nil {
				return nil, err
			}
			if isDir {
				below = append(below, path.Join(dir, entry.Name()))
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return below, nil
		case err != nil:
			j.skip(dir, bare(err).Error())
			return below, nil
		}
		if err := j.reportScan(false); err != nil {
			return nil, err
		}
	}
}

// look decides what becomes of one name.
func (j *job) look(name string, entry fs.DirEntry) (isDir bool, err error) {
	if j.names++; j.names > maxNames*j.MaxFiles {
		return false, fmt.Errorf("more than %d names under %s: choose a smaller directory", maxNames*j.MaxFiles, j.path)
	}
	info, err := entry.Info()
	switch {
	case err != nil:
		j.skip(name, bare(err).Error())
		return false, nil
	case j.leftOut(name, info):
		return false, nil
	case info.IsDir():
		return true, nil
	case info.Mode()&fs.ModeSymlink != 0:
		j.skip(name, "symbolic link")
		return false, nil
	case !info.Mode().IsRegular():
		j.skip(name, "not a regular file")
		return false, nil
	}
	return false, j.found(name, info.Size())
}

// found adds a file, unless that would be too many.
func (j *job) found(name string, size int64) error {
	j.files = append(j.files, file{name, size})
	j.bytes += size
	if len(j.files) > j.MaxFiles {
		return fmt.Errorf("more than %d files under %s: choose a smaller directory", j.MaxFiles, j.path)
	}
	return j.checkBytes(j.bytes)
}

// checkBytes refuses more bytes than are allowed.
func (j *job) checkBytes(n int64) error {
	if n > j.MaxBytes {
		return fmt.Errorf("more than %d bytes under %s: choose a smaller directory", j.MaxBytes, j.path)
	}
	return nil
}

// skip notes that name is not hashed.
func (j *job) skip(name, reason string) {
	if j.missed++; len(j.skipped) < maxSkipped {
		j.skipped = append(j.skipped, Skipped{name, reason})
	}
}
