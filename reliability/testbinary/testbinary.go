// Package testbinary builds the program for tests that run it from outside.
package testbinary

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// With builds tidegate into a temporary directory, sets path to it, and returns
// what tests returns. It is for TestMain, and parses the flags of the tests first.
func With(path *string, tests func() int) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "tidegate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*path = filepath.Join(dir, "tidegate")
	if out, err := exec.Command("go", "build", "-o", *path, "tidegate/cmd/tidegate").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return tests()
}
