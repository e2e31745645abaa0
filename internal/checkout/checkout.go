// Package checkout builds the program from this checkout, for tests that run it and for
// programs that measure it. It never builds for the program itself.
package checkout

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
)

// Variable is the environment variable that names a binary for [TestBinary]. ./test
// builds one for all packages. Its path depends on its content, so that the go command
// reuses no test result of another program. Its name does not begin with TIDEGATE_: the
// program refuses such variables when it does not know them.
const Variable = "TIDETEST_BINARY"

// TestBinary returns the path of a binary for tests to run. Without [Variable] it builds
// one into dir. The binary has the race detector if the calling test has it, so that the
// build reuses packages that the test itself needed.
func TestBinary(dir string) (path string, err error) {
	if path := os.Getenv(Variable); path != "" {
		return path, nil
	}
	path = filepath.Join(dir, "tidegate")
	if err := Build(context.Background(), path, RaceFlags()...); err != nil {
		return "", err
	}
	return path, nil
}

// NATSVariable is the environment variable that names a binary for [TestNATSServer].
// ./test builds one for all packages.
const NATSVariable = "TIDETEST_NATS_SERVER"

// TestNATSServer returns the path of a binary of nats-server, in the version of go.mod,
// for tests to run. Without [NATSVariable] it builds one into dir.
func TestNATSServer(dir string) (path string, err error) {
	if path := os.Getenv(NATSVariable); path != "" {
		return path, nil
	}
	path = filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return path, nil
}

// RaceFlags returns the flag that gives another program the race detector, if the
// calling one has it.
func RaceFlags() []string {
	race := debug.BuildSetting{Key: "-race", Value: "true"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, race) {
		return []string{"-race"}
	}
	return nil
}

// Build builds the program with flags of go build and writes it to path. The current
// directory must be in a module of the checkout.
func Build(ctx context.Context, path string, flags ...string) error {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	checkout := filepath.Dir(string(bytes.TrimSpace(module)))
	if _, err := os.Stat(filepath.Join(checkout, "cmd", "tidegate")); err != nil {
		checkout = filepath.Dir(checkout) // the current directory is in a module below
	}
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"./cmd/tidegate"})...)
	build.Dir = checkout
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}
