// Package sockettest is for tests of Unix sockets.
package sockettest

import (
	"os"
	"testing"
)

// Dir returns a folder whose path is short enough for the name of a socket in it:
// sun_path of unix(7) has 108 bytes, which the folders of testing.T can exceed. The
// folder is deleted when the test ends.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
