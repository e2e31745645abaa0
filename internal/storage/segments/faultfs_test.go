package segments

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
)

// faultFS is the machine's file system, with faults on demand. Each operation has a number,
// from 1.
type faultFS struct {
	system

	mu   sync.Mutex
	n    int                                // guarded by mu, like all below
	plan func(n int, op, name string) fault // nil: no faults
	seen []string                           // all operations so far, if it is not nil
}

// fault is the outcome of an operation. The zero value is success.
type fault struct {
	err   error
	short bool // of a write, half is done before it fails
}

var errCut = errors.New("the write was cut")

// set has plan decide the outcome of each operation from now on. It is called for one
// operation at a time. nil ends the faults.
func (f *faultFS) set(plan func(n int, op, name string) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// fail is set for a plan that needs no numbers: operations fail with the error that with returns.
func (f *faultFS) fail(with func(op, name string) error) {
	f.set(func(_ int, op, name string) fault { return fault{err: with(op, name)} })
}

func (f *faultFS) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *faultFS) ask(op, name string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.seen != nil {
		f.seen = append(f.seen, op+" "+name)
	}
	if f.plan == nil {
		return fault{}
	}
	return f.plan(f.n, op, name)
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if bad := f.ask("open", name); bad.err != nil {
		return nil, bad.err
	}
	file, err := f.system.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if bad := f.ask("rename", from); bad.err != nil {
		return bad.err
	}
	return f.system.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if bad := f.ask("remove", name); bad.err != nil {
		return bad.err
	}
	return f.system.Remove(name)
}

func (f *faultFS) Names(dir string) ([]string, error) {
	if bad := f.ask("names", dir); bad.err != nil {
		return nil, bad.err
	}
	return f.system.Names(dir)
}

func (f *faultFS) MkdirAll(dir string) error {
	if bad := f.ask("mkdir", dir); bad.err != nil {
		return bad.err
	}
	return f.system.MkdirAll(dir)
}

func (f *faultFS) SyncDir(dir string) error {
	if bad := f.ask("syncdir", dir); bad.err != nil {
		return bad.err
	}
	return f.system.SyncDir(dir)
}

type faultFile struct {
	File
	fs   *faultFS
	name string
}

func (f *faultFile) ReadAt(b []byte, off int64) (int, error) {
	if bad := f.fs.ask("read", f.name); bad.err != nil {
		return 0, bad.err
	}
	return f.File.ReadAt(b, off)
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	switch bad := f.fs.ask("write", f.name); {
	case bad.short:
		n, err := f.File.WriteAt(b[:len(b)/2], off)
		return n, errors.Join(err, bad.err)
	case bad.err != nil:
		return 0, bad.err
	}
	return f.File.WriteAt(b, off)
}

func (f *faultFile) Size() (int64, error) {
	if bad := f.fs.ask("size", f.name); bad.err != nil {
		return 0, bad.err
	}
	return f.File.Size()
}

func (f *faultFile) Truncate(size int64) error {
	if bad := f.fs.ask("truncate", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Datasync() error {
	if bad := f.fs.ask("sync", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Datasync()
}

func (f *faultFile) Allocate(size int64) error {
	if bad := f.fs.ask("allocate", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Allocate(size)
}

// faultKinds are the faults that tests put in, by name.
var faultKinds = []struct {
	name  string
	fault fault
	only  string // operations that can fail so; "" for all
}{
	{"ENOSPC", fault{err: syscall.ENOSPC}, "write allocate mkdir open rename sync"},
	{"EIO", fault{err: syscall.EIO}, ""},
	{"EMFILE", fault{err: syscall.EMFILE}, "open names syncdir"},
	{"short", fault{err: errCut, short: true}, "write"},
	{"stuck", fault{err: syscall.EIO, short: true}, "write truncate remove sync"},
}
