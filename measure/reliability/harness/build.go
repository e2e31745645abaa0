package harness

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildProgram builds tidegate from the checkout that contains the current directory
// and writes it to path. It works in this module and in the one above.
func BuildProgram(ctx context.Context, path string) error {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	checkout := filepath.Dir(string(bytes.TrimSpace(module)))
	if _, err := os.Stat(filepath.Join(checkout, "cmd", "tidegate")); err != nil {
		checkout = filepath.Dir(checkout)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/tidegate")
	build.Dir = checkout
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}
