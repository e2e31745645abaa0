package checksum

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"time"
)

// chunk is how much is read between two looks at the context.
const chunk = 256 << 10

// hashAll hashes what scan has found.
func (j *job) hashAll() error {
	j.hashed = make([]File, 0, len(j.files))
	buf := make([]byte, chunk)
	for i, f := range j.files {
		if err := j.report(f.path, i, j.done, j.mayReportEach()); err != nil {
			return err
		}
		if err := j.hashFile(i, f, buf); err != nil {
			return err
		}
		j.done += f.size
		if f.size >= bigFile {
			if err := j.report(f.path, i+1, j.done, true); err != nil {
				return err
			}
		}
	}
	return j.reportEnd()
}

// hashFile hashes the file with index i. A file that cannot be read is skipped;
// an error is one that ends the task.
func (j *job) hashFile(i int, f file, buf []byte) error {
	in, reason := j.openFile(f.path)
	if reason != nil {
		j.skip(f.path, reason.Error())
		return nil
	}
	defer in.Close()
	sum := sha256.New()
	n, err := j.copy(i, f, sum, in, buf)
	if reason, ok := errors.AsType[readError](err); ok {
		j.skip(f.path, bare(reason.error).Error())
		return nil
	}
	if err != nil {
		return err
	}
	j.hashed = append(j.hashed, File{f.path, n, hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// openFile opens a file in its directory, which stays open for the next one.
func (j *job) openFile(name string) (*os.File, error) {
	if in := path.Dir(name); j.at == nil || j.in != in {
		j.leave()
		dir, err := j.openDir(in)
		if err != nil {
			return nil, err
		}
		j.at, j.in = dir, in
	}
	return openFile(j.at, path.Base(name))
}

// leave closes the directory that is open.
func (j *job) leave() {
	if j.at != nil {
		j.at.Close()
		j.at = nil
	}
}

// readError is an error of a file, as opposed to one that ends the task.
type readError struct{ error }

// copy feeds in to sum, to its end: a file that grows or shrinks is hashed as it
// is found. It returns how much that was.
func (j *job) copy(i int, f file, sum hash.Hash, in io.Reader, buf []byte) (n int64, err error) {
	for {
		if j.ctx.Err() != nil {
			return n, context.Cause(j.ctx)
		}
		got, err := in.Read(buf)
		sum.Write(buf[:got]) // never fails
		n += int64(got)
		j.read += int64(got)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, readError{err}
		}
		if err := j.checkBytes(j.read); err != nil {
			return n, err
		}
		if err := j.report(f.path, i, j.done+min(n, f.size), false); err != nil {
			return n, err
		}
	}
}

// result is what the task returns.
func (j *job) result() Result {
	slices.SortFunc(j.skipped, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
	r := Result{
		Root: j.base.name(), Path: j.path,
		Files: j.hashed, TotalFiles: len(j.hashed),
		Skipped: append([]Skipped{}, j.skipped...), TotalSkipped: j.missed,
		ElapsedSeconds: j.elapsed(),
	}
	for _, f := range j.hashed {
		r.TotalBytes += f.Bytes
	}
	return r
}

// elapsed is the time since the task began, in seconds, to the millisecond.
func (j *job) elapsed() float64 {
	return math.Round(float64(time.Since(j.begun))/float64(time.Millisecond)) / 1000
}
