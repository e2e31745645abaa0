// Package leftover makes the tests of a package fail when they leave something
// running or open. It is for the TestMain of packages and for nothing else:
//
//	func TestMain(m *testing.M) { os.Exit(leftover.Run(m)) }
package leftover

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long what was asked to end may take for it.
const patience = time.Minute

// Run runs the tests and returns the exit code: that of the tests or, if they
// passed and goroutines are left, 1, after printing their stacks. Connections
// that the default HTTP client keeps for later are closed first.
func Run(m *testing.M) int {
	return run(m.Run, false, patience, os.Stderr)
}

// RunWithDescriptors is [Run] for packages that handle sockets or files
// themselves: there may not be more of them open than before either. Where the
// system does not tell of them in /proc, it is the same as Run.
func RunWithDescriptors(m *testing.M) int {
	// The first socket makes the runtime open what it keeps for good.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	return run(m.Run, true, patience, os.Stderr)
}

func run(tests func() int, withFiles bool, patience time.Duration, out io.Writer) int {
	before, files := map[string]bool{}, descriptors()
	for _, stack := range Goroutines() {
		before[name(stack)] = true
	}
	if code := tests(); code != 0 {
		return code
	}
	http.DefaultClient.CloseIdleConnections()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		left := slices.DeleteFunc(Goroutines(), func(stack string) bool { return before[name(stack)] })
		if now := descriptors(); withFiles && len(now) > len(files) {
			left = append(left, fmt.Sprintf("%d descriptors, %d before:\n%s", len(now), len(files), strings.Join(now, "\n")))
		}
		if len(left) == 0 {
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(out, "left by the tests:\n\n%s\n", strings.Join(left, "\n\n"))
			return 1
		}
	}
}

// Goroutines returns the stacks of all goroutines, the caller's among them, but
// not of the one that listens for signals: fuzzing starts it, and nothing ends it.
func Goroutines() []string {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	stacks := strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")
	return slices.DeleteFunc(stacks, func(stack string) bool { return strings.Contains(stack, "os/signal.loop") })
}

// name is the number of a goroutine, which no other ever has, and a word before
// it: what comes after is its state.
func name(stack string) string {
	name, _, _ := strings.Cut(stack, " [")
	return name
}

// descriptors lists what the process has open, the directory that is read for it
// included.
func descriptors() []string {
	const dir = "/proc/self/fd/"
	open, _ := os.ReadDir(dir)
	var found []string
	for _, entry := range open {
		target, _ := os.Readlink(dir + entry.Name())
		found = append(found, entry.Name()+" "+target)
	}
	return found
}
