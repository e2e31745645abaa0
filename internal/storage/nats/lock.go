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

// folder is the data folder of this process. While it is open no other process has it.
// nats-server itself would let two run on the same files, which diverge unnoticed.
type folder struct {
	dir    string
	sync   func(dir string) error
	lock   *os.File
	record record // of this process, made from the former one's
}

// openFolder makes the folder if it is not there, locks it and reads the former process's
// record. If another process has the folder the error names it.
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

// close syncs the folder, notes in the record that the server was stopped, and unlocks.
// The note comes after the sync, since a power failure may follow.
func (f *folder) close() error {
	err := f.sync(f.dir)
	if err == nil {
		f.record.Clean = true
		err = f.write()
	}
	return errors.Join(err, dropLock(f.lock))
}

// takeLock locks the file LOCK and writes the process id into it. The lock ends with the
// process, however that ends.
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
		_, _ = fmt.Fprintf(lock, "pid %d\n", os.Getpid()) // for the error of a process that finds it locked
	}
	return lock, nil
}

// dropLock unlocks the folder. Closing the file would not be enough: a forked process that
// has not started its program yet has it open too.
func dropLock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}
