package segments

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Datasync syncs the data and the metadata that is needed to read it.
func (f systemFile) Datasync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Allocate reserves room, so that a sync after an append writes only the data. It does nothing
// on file systems without it.
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

// Map maps the beginning of the file into memory. Writes to it survive a kill of the process.
func (f systemFile) Map(size int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmap(memory []byte) error {
	if memory == nil {
		return nil
	}
	return unix.Munmap(memory)
}
