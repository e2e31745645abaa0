package nats

import (
	"errors"
	"fmt"
	"os"
)

// Sync returns when all that the server in this process has written is on the disk. It
// does nothing for an external server.
func (e *Engine) Sync() error {
	if e.folder == nil {
		return nil
	}
	if err := e.folder.sync(e.folder.dir); err != nil {
		return fmt.Errorf("sync data folder %s: %w", e.folder.dir, err)
	}
	return nil
}

// syncFile syncs one file or directory.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
