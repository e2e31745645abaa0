package nats

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncAll puts on the disk what was written to the file system of dir, with one
// call for all files: syncing only the ones that are known to have changed leaves
// out directories that the server made a moment ago.
func syncAll(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(file.Fd())), file.Close())
}
