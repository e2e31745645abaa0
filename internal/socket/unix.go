package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// errNoSocket says that a file, and no socket, has the path.
var errNoSocket = errors.New("exists and is no socket; remove it, or give another path")

// lockTimeout bounds the wait for another process that binds in the same folder.
const lockTimeout = 5 * time.Second

// listenUnix binds a path. It replaces the socket of a process that has ended. If a process listens
// on the socket, the error is [syscall.EADDRINUSE].
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if strings.HasPrefix(path, "@") { // abstract: it has no file and ends with the process
		return net.Listen("unix", path)
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux the file is made with this mode, so others can never open it.
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode)) })
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	u := &unixListener{UnixListener: l.(*net.UnixListener), path: path}
	u.SetUnlinkOnClose(false)
	if u.file, err = os.Lstat(path); err != nil {
		return nil, errors.Join(err, u.UnixListener.Close())
	}
	if u.file.Mode().Perm() != mode { // the umask has removed bits
		if err := os.Chmod(path, mode); err != nil {
			return nil, errors.Join(err, u.Close())
		}
	}
	return u, nil
}

// removeStale removes a socket that no process listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s %w", path, errNoSocket)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = c.Close()
		return syscall.EADDRINUSE
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("find out whether it is in use: %w", err)
	}
	return os.Remove(path)
}

// lockFolder keeps two processes from replacing the same socket at once. It locks the folder, which
// leaves no file behind.
func lockFolder(dir string) (unlock func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = folder.Close() }, nil
		case errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(end):
		case errors.Is(err, syscall.EINTR):
		default:
			_ = folder.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
	}
}

// unixListener removes its socket when it is closed, unless another one has replaced it.
type unixListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
	err  error
}

// Close implements [net.Listener].
func (u *unixListener) Close() error {
	u.once.Do(func() {
		if now, err := os.Lstat(u.path); err == nil && os.SameFile(now, u.file) {
			u.err = os.Remove(u.path)
		}
		u.err = errors.Join(u.err, u.UnixListener.Close())
	})
	return u.err
}
