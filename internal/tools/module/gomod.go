package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// modulePath reads the path of a module from its file.
func modulePath(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`(?m)^module\s+(\S+)`).FindSubmatch(text)
	if line == nil {
		return "", errors.New("go.mod names no module")
	}
	return string(line[1]), nil
}

// renameModules changes the module files at the top and those of modules below:
// their own paths if they lie in the module from, and how they find that module.
func renameModules(root, from, to string) (changed int, err error) {
	files, err := moduleFiles(root)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		flags, err := edits(root, file, from, to)
		if err != nil {
			return changed, err
		}
		if len(flags) == 0 {
			continue
		}
		if out, err := command(root, "go", slices.Concat([]string{"mod", "edit"}, flags, []string{file})...); err != nil {
			return changed, fmt.Errorf("%s: %s", file, bytes.TrimSpace(out))
		}
		changed++
	}
	return changed, nil
}

// edits returns the flags of go mod edit that bring a module file from one path to
// the other.
func edits(root, file, from, to string) (flags []string, err error) {
	out, err := command(root, "go", "mod", "edit", "-json", file)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", file, bytes.TrimSpace(out))
	}
	var module struct {
		Module  struct{ Path string }
		Require []struct{ Path string }
		Replace []struct{ Old, New struct{ Path string } }
	}
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if rest, inside := strings.CutPrefix(module.Module.Path+"/", from+"/"); inside {
		flags = append(flags, "-module="+strings.TrimSuffix(to+"/"+rest, "/"))
	}
	for _, required := range module.Require {
		if required.Path == from {
			flags = append(flags, "-droprequire="+from, "-require="+to+"@"+someVersion(to))
		}
	}
	for _, replaced := range module.Replace {
		if replaced.Old.Path == from {
			flags = append(flags, "-dropreplace="+from, "-replace="+to+"="+replaced.New.Path)
		}
	}
	return flags, nil
}

// someVersion is one that a module of this path may have. Which does not matter: a
// replacement says where the module lies.
func someVersion(path string) string {
	if major := regexp.MustCompile(`/(v[1-9][0-9]*)$`).FindStringSubmatch(path); major != nil {
		return major[1] + ".0.0"
	}
	return "v0.0.0"
}

// moduleFiles lists them relative to root, those at the top first.
func moduleFiles(root string) ([]string, error) {
	files := []string{"go.mod", "tools.mod"}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == ".git" || name == "node_modules") {
			return fs.SkipDir
		}
		relative, err := filepath.Rel(root, path)
		if err == nil && entry.Name() == "go.mod" && relative != "go.mod" {
			files = append(files, relative)
		}
		return err
	})
	return files, err
}
