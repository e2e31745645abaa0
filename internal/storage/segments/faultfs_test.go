package segments

import (
	"io/fs"
	"sync/atomic"
)

// faultFS is the machine's file system, with faults on demand. fault is asked before
// each operation; its error is what that fails with.
type faultFS struct {
	system
	fault atomic.Pointer[func(op, name string) error]
}

func (f *faultFS) set(fault func(op, name string) error) {
	if fault == nil {
		f.fault.Store(nil)
		return
	}
	f.fault.Store(&fault)
}

func (f *faultFS) ask(op, name string) error {
	if fault := f.fault.Load(); fault != nil {
		return (*fault)(op, name)
	}
	return nil
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if err := f.ask("open", name); err != nil {
		return nil, err
	}
	file, err := f.system.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.ask("rename", from); err != nil {
		return err
	}
	return f.system.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	return f.system.Remove(name)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.ask("syncdir", dir); err != nil {
		return err
	}
	return f.system.SyncDir(dir)
}

type faultFile struct {
	File
	fs   *faultFS
	name string
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.fs.ask("write", f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.ask("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Datasync() error {
	if err := f.fs.ask("sync", f.name); err != nil {
		return err
	}
	return f.File.Datasync()
}
