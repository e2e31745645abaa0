package nats

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder is a data folder that this process has locked, without a server in it: for
// commands. Close unlocks it.
type Folder struct{ f *folder }

// OpenFolder locks a folder, which it makes if need be. It is an error if another process
// has it.
func OpenFolder(dir string, log *slog.Logger) (*Folder, error) {
	f, err := openFolder(Options{Dir: dir, Log: log}.withDefaults())
	if err != nil {
		return nil, err
	}
	if err := f.checkOwnLog(""); err != nil {
		return nil, errors.Join(err, dropLock(f.lock))
	}
	return &Folder{f}, nil
}

// Close unlocks the folder. Everything is on the disk when it returns.
func (f *Folder) Close() error { return f.f.close() }

// HasServerLog reports whether the server of the folder has an event log.
func (f *Folder) HasServerLog() bool {
	_, err := os.Stat(filepath.Join(streamsDir(storeDir(f.f.dir)), streamName(f.f.record.Prefix, "EV")))
	return err == nil
}

// Bound sets how large a log may grow that is put into the folder. That is asked bytes, else
// what it was, else what a new log gets. bytes is the log's size; the bound is never so small
// that it would lose events.
func (f *Folder) Bound(asked, bytes int64) {
	const most, part = 1 << 30, 4
	if asked > 0 {
		f.f.record.LogBytes = asked
		return
	}
	bound := f.f.record.LogBytes
	if bound == 0 {
		bound = most
		if disk, err := spaceOf(f.f.dir); err == nil && disk.total > 0 {
			bound = min(most, max(disk.free/part, 1<<20))
		}
	}
	if needs := bytes + bytes/part; needs > bound {
		f.f.record.LogBytes = needs
	}
}

// Replace makes the folder made, a log that is on the disk, the log of one process in this
// data folder. It deletes the former log.
func (f *Folder) Replace(made string) error {
	own, away := logDir(f.f.dir), replacedDir(f.f.dir)
	if err := os.RemoveAll(away); err != nil {
		return fmt.Errorf("replace the event log: %w", err)
	}
	err := os.Rename(own, away)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = os.Rename(made, own)
	}
	if err == nil {
		err = syncFile(f.f.dir)
	}
	if err == nil && f.f.record.Redraw { // it was about the former log
		err = f.f.generationDrawn()
	}
	if err != nil {
		return fmt.Errorf("replace the event log: %w", err)
	}
	return os.RemoveAll(away)
}

// replacedDir is where Replace puts the former log.
func replacedDir(dir string) string { return logDir(dir) + ".old" }

// undoReplace puts the former log back if the process was killed during Replace.
func (f *folder) undoReplace() error {
	if HasOwnLog(f.dir) {
		return nil
	}
	err := os.Rename(replacedDir(f.dir), logDir(f.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return syncFile(f.dir)
}

// OwnLogDir is where a data folder has the log of one process.
func OwnLogDir(dir string) string { return logDir(dir) }

// HasServer reports whether a data folder has the files of a server.
func HasServer(dir string) bool {
	_, err := os.Stat(storeDir(dir))
	return err == nil
}

// HoldFolder locks a folder for reading and changes nothing in it. A copy without the file
// LOCK needs no lock.
func HoldFolder(dir string) (release func(), err error) {
	lock, err := os.Open(filepath.Join(dir, "LOCK"))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		who, _ := io.ReadAll(io.LimitReader(lock, 20))
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data folder %s is in use by another process (%s): stop that first", dir, cmp.Or(strings.TrimSpace(string(who)), "unknown"))
		}
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return func() { _ = dropLock(lock) }, nil
}
