//go:build !linux

package nats

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// syncAll puts on the disk what is in dir, file by file. A file that is gone
// meanwhile needs no syncing.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = syncFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
