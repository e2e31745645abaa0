package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// file is a text file of the repository.
type file struct {
	name string // from the top, with slashes
	text string
}

// readTree reads all text files of a revision, or of the working tree if it is "".
func readTree(revision string) ([]file, error) {
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	root := strings.TrimSpace(string(top))
	if revision == "" {
		return readWorkingTree(root)
	}
	archive, err := git("-C", root, "archive", "--format=tar", revision)
	if err != nil {
		return nil, err
	}
	var files []file
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", revision, err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", revision, err)
		}
		files = appendText(files, header.Name, text)
	}
}

func readWorkingTree(root string) ([]file, error) {
	names, err := git("-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var files []file
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) { // deleted, not yet committed
			continue
		}
		if err != nil {
			return nil, err
		}
		files = appendText(files, name, text)
	}
	return files, nil
}

// appendText leaves out what nobody reads: binary files and the inputs of fuzz tests.
func appendText(files []file, name string, text []byte) []file {
	if bytes.IndexByte(text, 0) >= 0 || strings.Contains(name, "testdata/") {
		return files
	}
	return append(files, file{name, string(text)})
}

func git(args ...string) ([]byte, error) {
	out, err := exec.Command("git", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s: %s", strings.Join(args, " "), bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
