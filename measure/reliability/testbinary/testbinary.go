// Package testbinary builds the program for tests that run it from outside.
package testbinary

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"tidegate/measure/reliability/harness"
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
	if err := harness.BuildProgram(context.Background(), *path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return tests()
}
