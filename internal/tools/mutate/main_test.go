package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// TestEveryMutantFitsTheCode: whoever changes a line that a mutant changes has to
// change the list.
func TestEveryMutantFitsTheCode(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range all() {
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
		path, text, err := m.apply(root)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: the changed file is no Go: %v", m.name, err)
		}
	}
	if len(names) < 60 {
		t.Errorf("only %d mutants", len(names))
	}
}

// TestEveryMutantHasItsTests: a pattern that matches no test would let it survive.
func TestEveryMutantHasItsTests(t *testing.T) {
	t.Parallel()
	function := regexp.MustCompile(`(?m)^func (Test\w+|Fuzz\w+|Example\w*)\(`)
	for _, m := range all() {
		pattern, err := regexp.Compile(strings.SplitN(m.tests, "/", 2)[0])
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, m.testPackage(), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		matches := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range function.FindAllStringSubmatch(string(text), -1) {
				matches = matches || pattern.MatchString(found[1])
			}
		}
		if !matches {
			t.Errorf("%s: no test of %s matches %q", m.name, m.testPackage(), m.tests)
		}
	}
}

func TestASampleChangesWithTheCommit(t *testing.T) {
	t.Parallel()
	differ := false
	for _, m := range all() {
		differ = differ || orderOf([]byte("a"), m) != orderOf([]byte("b"), m)
	}
	few, err := choose(root, "", 5)
	if err != nil || len(few) != 5 || !differ {
		t.Errorf("a sample of %d, %v; another commit has another one: %t", len(few), err, differ)
	}
	if _, err := choose(root, "no such mutant", 0); err == nil {
		t.Error("a name that matches nothing is no error")
	}
}

// TestMutantsThatDoNotFitAreErrors: a place that is not there, or twice.
func TestMutantsThatDoNotFitAreErrors(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]mutant{
		"0 places":        {dir: "internal/backoff", find: `no such text`},
		"places":          {dir: "internal/backoff", find: `failures`},
		"changes nothing": {dir: "internal/backoff", find: `package backoff$`, with: "package backoff"},
		"missing closing": {dir: "internal/backoff", find: `(`},
	} {
		if _, _, err := m.apply(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", m, err, want)
		}
	}
}

// TestACaughtMutantAndOneThatSurvives runs the go command for one mistake that the
// tests of a small package notice, and for a change that is none.
func TestACaughtMutantAndOneThatSurvives(t *testing.T) {
	t.Parallel()
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[verdict]mutant{
		caught:   {dir: "internal/backoff", find: `^\t\td \*= 2\n`, with: ""},
		survived: {dir: "internal/backoff", find: `failures > 1`, with: "failures >= 2"},
		wrong:    {dir: "internal/backoff", find: `failures > 1`, with: "failures > \"\""},
	} {
		if got := attempt(t.Context(), absolute, m, false); got.verdict != want {
			t.Errorf("%s: %s, want %s: %s", m.with, got.verdict, want, got.detail)
		}
	}
}
