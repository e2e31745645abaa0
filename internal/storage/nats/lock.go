package nats

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folder is the data folder of this process. While it is open no other process
// has it: nats-server itself would let two run in the same files, and they go
// separate ways without noticing.
type folder struct {
	dir    string
	sync   func(dir string) error
	lock   *os.File
	record record // what the last process left, as this one continues it
}

// openFolder makes the folder if it is not there, takes its lock and reads what
// the last process left. It returns an error that names the folder if another
// process has it.
func openFolder(opts Options) (*folder, error) {
	lock, err := renameFormer(opts)
	if lock == nil && err == nil {
		lock, err = makeFolder(opts.Dir)
	}
	if err != nil {
		return nil, err
	}
	f := &folder{dir: opts.Dir, sync: opts.sync, lock: lock}
	if err := f.begin(opts.bootID(), opts.Durability, opts.Prefix); err != nil {
		return nil, errors.Join(err, dropLock(lock))
	}
	return f, nil
}

// makeFolder makes a folder if it is not there and locks it.
func makeFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return takeLock(dir)
}

// close frees the folder, after the server in it was stopped, and tells the next
// process that it was. It does not before all is on the disk: a power failure may
// follow.
func (f *folder) close() error {
	err := f.sync(f.dir)
	if err == nil {
		f.record.Clean = true
		err = f.write()
	}
	return errors.Join(err, dropLock(f.lock))
}

// takeLock locks the file LOCK, which tells who has the folder. The lock ends with
// the process, however that ends.
func takeLock(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		who, _ := io.ReadAll(io.LimitReader(lock, 20))
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another process (%s): stop that, or choose another folder", dir, strings.TrimSpace(string(who)))
		}
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(lock, "pid %d\n", os.Getpid()) // for whoever finds it locked
	}
	return lock, nil
}

// dropLock frees the folder. A process that was forked and has not become another
// program yet has the file open too, so to close it here would not be enough.
func dropLock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}
