package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one mistake that a test must notice.
type mutant struct {
	name  string // the package and what the mistake is
	dir   string // the package that is changed, from the top of the repository
	find  string // regular expression: one place in the package's files, without tests
	with  string // what stands there instead, with $1 for the first group
	tests string // for -run; "" for all of them
	in    string // the package whose tests notice; "" for dir
}

func (m mutant) testPackage() string {
	if m.in != "" {
		return "./" + m.in
	}
	return "./" + m.dir
}

// all are the mutants, in the order of their packages.
func all() []mutant {
	return slices.Concat(gatewayMutants, streamMutants, topicMutants, segmentMutants, wireMutants, clientMutants, limitMutants)
}

// apply returns the file that the mutant changes, and its changed text.
func (m mutant) apply(root string) (path string, text []byte, err error) {
	place, err := regexp.Compile("(?m)" + m.find)
	if err != nil {
		return "", nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, m.dir, "*.go"))
	if err != nil {
		return "", nil, err
	}
	places := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		old, err := os.ReadFile(file)
		if err != nil {
			return "", nil, err
		}
		found := place.FindAllSubmatchIndex(old, -1)
		if places += len(found); len(found) != 1 {
			continue
		}
		at := found[0]
		path = file
		text = slices.Concat(old[:at[0]], place.Expand(nil, []byte(m.with), old, at), old[at[1]:])
		if bytes.Equal(text, old) {
			return "", nil, fmt.Errorf("it changes nothing in %s", file)
		}
	}
	if places != 1 {
		return "", nil, fmt.Errorf("%q is at %d places of %s, not at one", m.find, places, m.dir)
	}
	return path, text, nil
}

// verdict is what became of a mutant.
type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "SURVIVED"
	wrong    verdict = "WRONG" // the list does not fit the code
)

type result struct {
	verdict verdict
	detail  string
	noTests bool
}

// attempt runs the tests of a mutant.
func attempt(ctx context.Context, root string, m mutant, wide bool) result {
	path, text, err := m.apply(root)
	if err != nil {
		return result{verdict: wrong, detail: err.Error()}
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return result{verdict: wrong, detail: err.Error()}
	}
	defer os.RemoveAll(dir)
	changed, overlay := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err == nil {
		err = errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, replace, 0o600))
	}
	if err != nil {
		return result{verdict: wrong, detail: err.Error()}
	}
	return test(ctx, root, m, overlay, wide)
}

// testTime bounds the tests of one mutant: a mistake may make them hang, which is
// noticed as well.
const testTime = "90s"

func test(ctx context.Context, root string, m mutant, overlay string, wide bool) result {
	args := []string{"test", "-vet=off", "-timeout=" + testTime, "-run=" + m.tests}
	if !wide {
		args = append(args, "-failfast")
	}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, m.testPackage())...)
	command.Dir = root
	output, err := command.CombinedOutput()
	out := string(output)
	switch {
	case err == nil:
		return result{verdict: survived, detail: "all tests of " + m.testPackage() + " -run '" + m.tests + "' pass", noTests: strings.Contains(out, "[no tests to run]")}
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return result{verdict: wrong, detail: "it does not compile: " + firstLines(out)}
	}
	return result{verdict: caught, detail: failures(out)}
}

var (
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+) \((\S+)\)`)
	fatal      = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*)$`)
)

// failures names the tests that failed, or what ended them.
func failures(out string) string {
	var names []string
	for _, found := range failedTest.FindAllStringSubmatch(out, -1) {
		names = append(names, found[1]+" ("+found[2]+")")
	}
	if why := fatal.FindString(out); why != "" {
		names = append(names, why)
	}
	if len(names) == 0 {
		return firstLines(out)
	}
	return strings.Join(names, ", ")
}

func firstLines(out string) string {
	lines := strings.SplitN(strings.TrimSpace(out), "\n", 4)
	return strings.Join(lines[:min(3, len(lines))], " | ")
}
