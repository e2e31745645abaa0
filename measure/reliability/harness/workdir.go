package harness

import (
	"fmt"
	"io"
	"os"
)

// WorkDir calls do with dir. If dir is "", it creates a temporary directory, and
// deletes it afterwards unless do returns an error.
func WorkDir(dir, name string, out io.Writer, do func(dir string) error) error {
	if dir != "" {
		return do(dir)
	}
	dir, err := os.MkdirTemp("", "tidegate-"+name+"-")
	if err != nil {
		return err
	}
	if err := do(dir); err != nil {
		fmt.Fprintln(out, "logs and records are in", dir)
		return err
	}
	return os.RemoveAll(dir)
}
