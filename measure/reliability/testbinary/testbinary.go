// Package testbinary provides the program for tests that run it.
package testbinary

import (
	"flag"
	"fmt"
	"os"

	"tidegate/internal/checkout"
)

// With sets path to a binary of tidegate, runs tests and returns their exit code. It is
// for TestMain, and parses the flags of the tests first.
func With(path *string, tests func() int) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "tidegate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if *path, err = checkout.TestBinary(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// With the race detector, each process would sleep for a second before it exits.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=10")
	return tests()
}
