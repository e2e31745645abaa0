package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOldWordsAreFoundInProseAndIdentifiers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"func heirOf(n Node)":              "heir",
		"the heirs of theirs":              "heirs",
		"TIDEGATE_HEIR_TTL":                "heir",
		"func turnAway()":                  "turn_away",
		"it turns away who is late":        "turns_away",
		"tombstone, milestone, attend":     "",
		"lastStone and stones":             "stone stones",
		"extend, tendency, near, search":   "",
		"the backend is told; tells, told": "told tells told",
		"SettleAll":                        "settle",
		"func TestX38StatusTells(t T)":     "",
		"HTTPTold":                         "told",
	} {
		var got []string
		for _, found := range oldWords(file{"a/b.go", "package b\n" + text}, false) {
			if found.line != 2 {
				t.Errorf("%q: line %d", text, found.line)
			}
			got = append(got, found.word.old)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if list := oldWords(file{"a/ledger_test.go", ""}, false); len(list) != 1 || list[0].line != 0 {
		t.Errorf("the name of a file: %v", list)
	}
}

func TestWordsToJudgeAreListedOnRequestOnly(t *testing.T) {
	t.Parallel()
	f := file{"a.md", "Remember to turn it off.\n"}
	if few, all := oldWords(f, false), oldWords(f, true); len(few) != 0 || len(all) != 2 {
		t.Errorf("%d and %d", len(few), len(all))
	}
}

func TestProseOfAPage(t *testing.T) {
	t.Parallel()
	long := strings.TrimSpace(strings.Repeat("word ", 26))
	page := "# A title that is none\n\nOne two three. Four `five six`!\n\n```\ncode is not prose.\n```\n\n    nor is this.\n\n- " + long + ".\n- short\n\n| a | " + strings.Repeat("x", 121) + " |\n"
	var p prose
	p.addPage(file{"a.md", page})
	if p.sentences != 4 || p.words != 3+2+26+1 || p.longSentences != 1 || p.wideCells != 1 || p.wideLines != 1 || p.longest.n != 26 {
		t.Errorf("%+v", p)
	}
}

func TestShapeOfCode(t *testing.T) {
	t.Parallel()
	files := []file{
		{"sse/a.go", "package sse\n\n// T is a type. It has a method.\ntype T struct{}\n\nfunc (t *T) M() {\n}\n\nfunc (u *u[X]) M() {}\n\nconst A, b = 1, 2\n"},
		{"internal/x/x.go", "package x\n\nfunc F() {\n\treturn\n}\n"},
		{"internal/x/x_test.go", "package x\n\nfunc TestF() {\n\t_ = 1\n\t_ = 2\n}\n"},
		{"cmd/y/main.go", "package main\n\nfunc Main() {}\n"},
	}
	got := measure(files)
	for name, want := range map[string]string{
		"packages": "3", "exported names": "4", "exported names, public": "3", "lines of tests": "6",
		"longest function": "3  internal/x/x.go:3 F", "longest function of tests": "4  internal/x/x_test.go:3 TestF", "longest file": "11  sse/a.go", "comments: sentences": "2",
	} {
		if got.value[name] != want {
			t.Errorf("%s: %q, want %q", name, got.value[name], want)
		}
	}
}

// workingTree reads the files of the checkout. What was unpacked from an archive has no
// list of them: there the test is skipped, but never in CI.
func workingTree(t *testing.T) []file {
	t.Helper()
	files, err := readTree("")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip("no git here: ", err)
	}
	return files
}

// TestRepositoryIsMeasured reads a part of the working tree that the tests run in.
func TestRepositoryIsMeasured(t *testing.T) {
	t.Parallel()
	files := workingTree(t)
	got := measure(under(files, []string{"sse/", "README.md"}))
	for _, row := range []string{"lines of Go", "packages", "pages: sentences", "comments: sentences"} {
		if got.value[row] == "" || got.value[row] == "0" {
			t.Errorf("%s: %q", row, got.value[row])
		}
	}
}

// TestNoOldWordsAreLeft: the glossary has one term for each thing. Flags and stored keys
// that keep an old word are in the list of words.
func TestNoOldWordsAreLeft(t *testing.T) {
	t.Parallel()
	files := workingTree(t)
	if len(files) < 100 {
		t.Fatalf("only %d files were read", len(files))
	}
	for _, f := range files {
		for _, found := range oldWords(f, false) {
			t.Errorf("%s:%d: %q; say: %s\n\t%s", f.name, found.line, found.word.old, found.word.now, strings.TrimSpace(found.text))
		}
	}
}
