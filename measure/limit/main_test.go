package main

import (
	"os"
	"testing"

	"tidegate/internal/leftover"
)

// TestMain lets the test binary be started as the program starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == modeBackend { // as startBackend calls this program
		main()
	}
	os.Exit(leftover.RunWithDescriptors(m))
}
