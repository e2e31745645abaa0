package segments

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Datasync has the data on the disk, and of the rest what is needed to find it.
func (f systemFile) Datasync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Allocate reserves room, so that a sync after an append has nothing to write but
// the data. File systems that cannot do this go without.
func (f systemFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		default:
			return err
		}
	}
}

// Map gives the beginning of the file as memory: what is written there is in the file,
// also when the process is killed.
func (f systemFile) Map(size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmap(memory []byte) error {
	if memory == nil {
		return nil
	}
	return unix.Munmap(memory)
}
