//go:build !linux

package segments

// Datasync has all of the file on the disk.
func (f systemFile) Datasync() error { return f.Sync() }

// Allocate does nothing here.
func (f systemFile) Allocate(int64) error { return nil }

func unmap([]byte) error { return nil }
