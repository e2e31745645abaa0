package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// tests are the names of all tests there are.
func tests(t *testing.T) []string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range function.FindAllSubmatch(text, -1) {
			names = append(names, string(found[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestPagesNameTestsThatExist. A name that ends in … stands for all that begin so.
func TestPagesNameTestsThatExist(t *testing.T) {
	t.Parallel()
	all := tests(t)
	name := regexp.MustCompile("`(Test[A-Z]\\w+)(…?)`")
	for _, page := range []string{"docs/explanation/security.md", "docs/reference/defects.md"} {
		text := readPage(t, page)
		named := name.FindAllStringSubmatch(text, -1)
		if len(named) == 0 {
			t.Errorf("%s names no test", page)
		}
		for _, found := range named {
			there := slices.ContainsFunc(all, func(test string) bool {
				return test == found[1] || found[2] != "" && strings.HasPrefix(test, found[1])
			})
			if !there {
				t.Errorf("%s names %s, which does not exist", page, found[0])
			}
		}
	}
}

// TestDefectsAreListed: a name that cannot be looked up explains nothing.
func TestDefectsAreListed(t *testing.T) {
	t.Parallel()
	text := readPage(t, "docs/reference/defects.md")
	defect := regexp.MustCompile(`^Test(GW|BE|F|X)(\d+)`)
	seen := map[string]bool{}
	for _, test := range tests(t) {
		found := defect.FindStringSubmatch(test)
		if found == nil {
			continue
		}
		row := "| " + found[1] + "-" + found[2] + " | "
		if !strings.Contains(text, "\n"+row) && !seen[row] {
			seen[row] = true
			t.Errorf("%s is named after a defect that docs/reference/defects.md does not list: it has no line that begins with %q", test, row)
		}
	}
}

// TestLinksOfPagesLeadSomewhere: those to files of the repository.
func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s:#]+)(#[^)\s]*)?\)`)
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "measure/*.md", "examples/*.md", "deploy/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	if len(pages) < 10 {
		t.Fatalf("only %d pages: %v", len(pages), pages)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(found[1]))); err != nil {
				t.Errorf("%s has a link to %s: %v", page, found[1], err)
			}
		}
	}
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
