package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails if the tests leave a goroutine or a descriptor behind.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == modeBackend { // as startBackend calls this program
		main()
	}
	flag.Parse()
	// The first socket makes the runtime open what it keeps.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if code == 0 && !fuzzing && !settled(goroutines, files) {
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "left are %d open files of %d at the start, and goroutines:\n%s\n", openFiles(), files, stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	os.Exit(code)
}

// settled waits for what was told to end to have ended.
func settled(goroutines, files int) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if runtime.NumGoroutine() <= goroutines && openFiles() <= files {
			return true
		}
		<-tick.C
	}
	return false
}

// openFiles is 0 where it cannot be told.
func openFiles() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}
