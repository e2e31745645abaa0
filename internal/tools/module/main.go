// Module gives the module of this repository another path: where it is to be had.
//
//	go run ./internal/tools/module example.org/me/tidegate
//
// It changes the module files, all imports, and what else names packages by their
// path, also in the modules below that belong to this one. It may be run again.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "Usage: go run ./internal/tools/module PATH\n\nGives the module the path PATH, such as example.org/me/tidegate. Run it at the top of the repository.")
		os.Exit(2)
	}
	n, err := rename(".", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "module:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files changed. Now run: go build ./... && ./test\n", n)
}

// rename changes the module at root and reports how many files that took.
func rename(root, to string) (changed int, err error) {
	from, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, fmt.Errorf("this is not the top of the repository: %w", err)
	}
	folders, err := packageFolders(root)
	if err != nil {
		return 0, err
	}
	changed, err = renameModules(root, from, to) // first: go mod edit rejects what cannot be a path
	if err != nil {
		return changed, err
	}
	// A path of a package: not a part of another path, and one that there is. The
	// path alone with its slash marks imports.
	named := regexp.MustCompile(`(^|[^\w./-])` + regexp.QuoteMeta(from) + `(/(?:` + strings.Join(folders, "|") + `)\b|/"|/\.\.\.)`)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == ".git" || name == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || !namesPackages(root, path) {
			return nil
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := named.ReplaceAll(old, []byte("${1}"+strings.ReplaceAll(to, "$", "$$")+"${2}"))
		if bytes.Equal(text, old) {
			return nil
		}
		changed++
		return os.WriteFile(path, text, 0o644) // an existing file keeps its mode
	})
	return changed, err
}

// namesPackages reports whether a file may have paths of packages in it.
func namesPackages(root, path string) bool {
	relative, err := filepath.Rel(root, path)
	return err == nil && (strings.HasSuffix(path, ".go") || relative == "test" || filepath.Dir(relative) == ".ci")
}

// packageFolders lists the folders at the top that have packages in or below them.
func packageFolders(root string) ([]string, error) {
	var folders []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		first, _, below := strings.Cut(filepath.ToSlash(relative), "/")
		if first = regexp.QuoteMeta(first); below && !slices.Contains(folders, first) {
			folders = append(folders, first)
		}
		return nil
	})
	return folders, err
}

func command(dir, name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	return c.CombinedOutput()
}
