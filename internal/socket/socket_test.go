package socket_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tidegate/internal/socket"
	"tidegate/internal/socket/sockettest"
)

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := socket.Listen("unix:"+path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// wantServed checks that a client gets through to l.
func wantServed(t *testing.T, path string, l net.Listener) {
	t.Helper()
	var accepting sync.WaitGroup
	accepting.Go(func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	})
	defer accepting.Wait()
	c, err := net.Dial("unix", path)
	if err != nil {
		_ = l.Close()
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); string(text) != "hello" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

// abandon leaves a socket behind, as a process does that is killed.
func abandon(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
}

func TestX26UnixSocketHasItsModeAndIsRemoved(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		path := filepath.Join(sockettest.Dir(t), "a.sock")
		l, err := socket.Listen("unix:"+path, mode)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != mode || info.Mode().Type() != fs.ModeSocket {
			t.Errorf("the file is %v, %v, want a socket of mode %o", info, err, mode)
		}
		wantServed(t, path, l)
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	}
}

// TestX26AtNoMomentIsASocketOpenToOthers: not even between its making and the change
// of its mode.
func TestX26AtNoMomentIsASocketOpenToOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux takes the mode of the socket for the file")
	}
	path := filepath.Join(sockettest.Dir(t), "a.sock")
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watching.Go(func() {
		for ctx.Err() == nil {
			if info, err := os.Lstat(path); err == nil && info.Mode().Perm() != 0o600 {
				t.Errorf("for a moment its mode was %v", info.Mode())
				return
			}
		}
	})
	for range 2000 {
		l, err := socket.Listen("unix:"+path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
}

func TestX26StaleSocketIsTakenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(sockettest.Dir(t), "a.sock")
	abandon(t, path)
	wantServed(t, path, listen(t, path))
}

func TestX26SocketInUseIsNotTakenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(sockettest.Dir(t), "a.sock")
	first := listen(t, path)
	if _, err := socket.Listen("unix:"+path, 0o660); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("second Listen() = %v, want address in use", err)
	}
	if c, err := first.Accept(); err == nil { // the question whether it is in use
		_ = c.Close()
	}
	wantServed(t, path, first)
}

func TestX26OnlySocketsAreTakenOver(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	file, link, target := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	abandon(t, target)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir} {
		if l, err := socket.Listen("unix:"+path, 0o660); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("Listen(%s) = %v, %v, want an error", path, l, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s is gone", path)
		}
	}
	if _, err := socket.Listen("unix:"+filepath.Join(dir, "no", "a.sock"), 0o660); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

// Many processes that start at once: one gets the socket.
func TestX26OneOfManyTakesAStaleSocketOver(t *testing.T) {
	t.Parallel()
	for range 100 { // they rarely meet at the worst moment
		takeOverAtOnce(t)
	}
}

func takeOverAtOnce(t *testing.T) {
	t.Helper()
	path := filepath.Join(sockettest.Dir(t), "a.sock")
	abandon(t, path)
	var starting sync.WaitGroup
	got := make(chan net.Listener, 16)
	for range cap(got) {
		starting.Go(func() {
			if l, err := socket.Listen("unix:"+path, 0o660); err == nil {
				got <- l
			} else if !errors.Is(err, syscall.EADDRINUSE) {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	close(got)
	if len(got) != 1 {
		t.Errorf("%d have the socket, want 1", len(got))
	}
	for l := range got {
		_ = l.Close()
	}
}

func TestX26SocketOfAnotherIsNotRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(sockettest.Dir(t), "a.sock")
	old := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l := listen(t, path)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	wantServed(t, path, l)
}

func TestX26AddressesOfSockets(t *testing.T) {
	t.Parallel()
	for address, local := range map[string]bool{
		"unix:/run/a.sock": true, "unix:a": true, "unix:@a": true, "127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true,
		":8080": false, "0.0.0.0:1": false, "h:1": false, "10.0.0.1:1": false, "shared": false, "fd:3000": false, "systemd:x": false,
	} {
		if got := socket.Local(address); got != local {
			t.Errorf("Local(%s) = %v", address, got)
		}
	}
	for _, pair := range [][2]string{{"unix:/a/b", "unix:/a/./b"}, {"unix:@x", "unix:@x"}} {
		if !socket.Same(pair[0], pair[1]) {
			t.Errorf("%s and %s are not the same", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"unix:/a/b", "unix:/a/c"}, {"unix:/a", ":1"}, {":1", ":1"}, {"fd:3000", "fd:3000"}} {
		if socket.Same(pair[0], pair[1]) {
			t.Errorf("%s and %s are the same", pair[0], pair[1])
		}
	}
	for _, address := range []string{"unix:", "unix:a?b", "unix:" + strings.Repeat("x", 108), "fd:", "fd:2", "fd:x", "fd:3000", "systemd:web"} {
		if other, err := socket.Check(address); err == nil || other {
			t.Errorf("Check(%s) = %v, %v, want an error", address, other, err)
		}
	}
}

func TestX26DescriptorsByNumber(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	file, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(file.Fd())) // Listen takes it
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	address := "fd:" + strconv.Itoa(fd)
	if !socket.Local(address) || !socket.Same(address, "systemd:"+strconv.Itoa(fd)) {
		t.Error("not known as a socket on loopback")
	}
	got, err := socket.Listen(address, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if got.Addr().String() != tcp.Addr().String() {
		t.Errorf("listens at %s, want %s", got.Addr(), tcp.Addr())
	}
}
