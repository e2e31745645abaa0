//go:build !linux

package nats

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// syncAll syncs all files in dir, one by one. Files that are deleted meanwhile need no
// sync.
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
