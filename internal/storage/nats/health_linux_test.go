package nats

import (
	"fmt"
	"syscall"
	"testing"
)

// mountSmall mounts a file system of some MiB at dir until the test ends. It
// returns false if this user may not.
func mountSmall(t *testing.T, dir string, mib int) bool {
	t.Helper()
	if syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)) != nil {
		return false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return true
}

// resize gives a file system that mountSmall has mounted another size.
func resize(t *testing.T, dir string, mib int) {
	t.Helper()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatal(err)
	}
}
