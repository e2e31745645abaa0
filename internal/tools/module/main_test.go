package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copyOfAll copies the repository, as it is in the working directory.
func copyOfAll(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(filepath.Join(dir, ".git")) // of a worktree it is a file that leads back
	return dir
}

// TestAModuleWithAHomeBuilds gives a copy one, and another one after that.
func TestAModuleWithAHomeBuilds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds all packages")
	}
	dir := copyOfAll(t)
	for _, home := range []string{"example.org/me/tidegate", "tidegate.example/v2"} {
		if n, err := rename(dir, home); err != nil || n < 100 {
			t.Fatalf("%d files changed, %v", n, err)
		}
		for module, path := range map[string]string{".": home, "measure": home + "/measure"} {
			out, err := command(filepath.Join(dir, module), "go", "list", "-test", "-f", "{{.ImportPath}}", "./...")
			if err != nil {
				t.Fatalf("go list in %s: %s", module, out)
			}
			for line := range strings.Lines(string(out)) {
				if !strings.HasPrefix(line, path+"/") {
					t.Errorf("package %s", line)
				}
			}
		}
	}
	for _, args := range [][]string{
		{"vet", "./internal/cli", "./task/...", "./sse"},
		{"test", "./internal/archtest", "./internal/version"},
		{"vet", "-C", "measure", "./reliability/kill", "./reliability/testbinary"},
		{"mod", "tidy", "-C", "measure", "-diff"},
	} {
		if out, err := command(dir, "go", args...); err != nil {
			t.Errorf("go %s: %s", strings.Join(args, " "), out)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "test"))
	if err != nil || strings.Contains(string(text), "tidegate/internal/") {
		t.Errorf("the test runner names packages of another module: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "test")); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("the test runner cannot be run any more: %v, %v", info.Mode(), err)
	}
}

func TestAPathThatIsNoneChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module tidegate\n", "tools.mod": "module tidegate\n", "a/a.go": "package a\n\nimport _ \"tidegate/a/b\"\n"}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"with blanks/x", "a//b", "/a", "a/../b"} {
		if _, err := rename(dir, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for name, want := range files {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
}
