package checkout

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTestBinary: it builds the program, or returns the one that the environment names.
// In ./test, which names one, only the second part runs.
func TestForTests(t *testing.T) {
	path, err := TestBinary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "version").CombinedOutput(); err != nil || !strings.Contains(string(out), "tidegate") {
		t.Errorf("version of the built program: %s, %v", out, err)
	}
	t.Setenv(Variable, path)
	if again, err := TestBinary(t.TempDir()); err != nil || again != path {
		t.Errorf("with the variable: %s, %v, want %s", again, err, path)
	}
}

func TestBuildReportsWhatTheCompilerPrints(t *testing.T) {
	t.Parallel()
	err := Build(t.Context(), filepath.Join(t.TempDir(), "tidegate"), "-no-such-flag")
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("a wrong flag: %v", err)
	}
}
