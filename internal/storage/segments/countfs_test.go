package segments

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
)

// countFS is the machine's file system, of which each operation has a number, from 1.
// plan is asked what becomes of it.
type countFS struct {
	system

	mu   sync.Mutex
	n    int // guarded by mu, like all below
	plan func(n int, op, name string) fault
	seen []string // of each operation what it was, if it is not nil
}

// fault is what becomes of an operation. The zero value is that it is done.
type fault struct {
	err   error
	short bool // of a write, half is done before it fails
}

var errCut = errors.New("the write was cut")

func (f *countFS) set(plan func(n int, op, name string) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

func (f *countFS) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *countFS) ask(op, name string) fault {
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

func (f *countFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if bad := f.ask("open", name); bad.err != nil {
		return nil, bad.err
	}
	file, err := f.system.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &countFile{file, f, name}, nil
}

func (f *countFS) Rename(from, to string) error {
	if bad := f.ask("rename", from); bad.err != nil {
		return bad.err
	}
	return f.system.Rename(from, to)
}

func (f *countFS) Remove(name string) error {
	if bad := f.ask("remove", name); bad.err != nil {
		return bad.err
	}
	return f.system.Remove(name)
}

func (f *countFS) Names(dir string) ([]string, error) {
	if bad := f.ask("names", dir); bad.err != nil {
		return nil, bad.err
	}
	return f.system.Names(dir)
}

func (f *countFS) MkdirAll(dir string) error {
	if bad := f.ask("mkdir", dir); bad.err != nil {
		return bad.err
	}
	return f.system.MkdirAll(dir)
}

func (f *countFS) SyncDir(dir string) error {
	if bad := f.ask("syncdir", dir); bad.err != nil {
		return bad.err
	}
	return f.system.SyncDir(dir)
}

type countFile struct {
	File
	fs   *countFS
	name string
}

func (f *countFile) ReadAt(b []byte, off int64) (int, error) {
	if bad := f.fs.ask("read", f.name); bad.err != nil {
		return 0, bad.err
	}
	return f.File.ReadAt(b, off)
}

func (f *countFile) WriteAt(b []byte, off int64) (int, error) {
	switch bad := f.fs.ask("write", f.name); {
	case bad.short:
		n, err := f.File.WriteAt(b[:len(b)/2], off)
		return n, errors.Join(err, bad.err)
	case bad.err != nil:
		return 0, bad.err
	}
	return f.File.WriteAt(b, off)
}

func (f *countFile) Size() (int64, error) {
	if bad := f.fs.ask("size", f.name); bad.err != nil {
		return 0, bad.err
	}
	return f.File.Size()
}

func (f *countFile) Truncate(size int64) error {
	if bad := f.fs.ask("truncate", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Truncate(size)
}

func (f *countFile) Datasync() error {
	if bad := f.fs.ask("sync", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Datasync()
}

func (f *countFile) Allocate(size int64) error {
	if bad := f.fs.ask("allocate", f.name); bad.err != nil {
		return bad.err
	}
	return f.File.Allocate(size)
}

// kinds of faults, by name.
var faultKinds = []struct {
	name  string
	fault fault
	only  string // operations that it is of; "" for all
}{
	{"ENOSPC", fault{err: syscall.ENOSPC}, "write allocate mkdir open rename sync"},
	{"EIO", fault{err: syscall.EIO}, ""},
	{"EMFILE", fault{err: syscall.EMFILE}, "open names syncdir"},
	{"short", fault{err: errCut, short: true}, "write"},
	{"stuck", fault{err: syscall.EIO, short: true}, "write truncate remove sync"},
}
