package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The bounds of prose, which keep pages readable for somebody in a hurry.
const (
	maxColumns   = 100 // of a line outside code and tables
	maxCell      = 120 // characters of a table's cell, without the targets of its links
	maxParagraph = 5   // lines of a paragraph or of an item of a list
	maxSentence  = 25  // words
)

// generated lists the pages that tests write from the program. Their own tests judge them.
var generated = []string{
	"docs/reference/cli.md", "docs/reference/configuration.md", "docs/reference/errors.md", "docs/reference/metrics.md",
}

// docPages returns the paths below root of all pages in docs/ except the index.
func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		page, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(page, ".md") && page != "docs/README.md" {
			pages = append(pages, filepath.ToSlash(page))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 10 {
		t.Fatalf("docs/ has only %d pages: %v", len(pages), pages)
	}
	return pages
}

// TestEachPageIsInOneFolderOfFour holds the four kinds of documents apart.
func TestEachPageIsInOneFolderOfFour(t *testing.T) {
	t.Parallel()
	kinds := regexp.MustCompile(`^docs/(start|guides|reference|explanation)/[a-z0-9-]+\.md$`)
	for _, page := range docPages(t) {
		if !kinds.MatchString(page) {
			t.Errorf("%s is in none of start, guides, reference and explanation", page)
		}
	}
}

// TestIndexesListEveryPage compares docs/README.md and llms.txt with the folder.
func TestIndexesListEveryPage(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`(?m)^- \[[^\]]+\]\(([^)]+\.md)\)`)
	for index, prefix := range map[string]string{"docs/README.md": "docs/", "llms.txt": ""} {
		var listed []string
		for _, found := range link.FindAllStringSubmatch(readPage(t, index), -1) {
			if page := prefix + found[1]; strings.HasPrefix(page, "docs/") && page != "docs/README.md" {
				listed = append(listed, page)
			}
		}
		slices.Sort(listed)
		pages := docPages(t)
		for _, page := range pages {
			if !slices.Contains(listed, page) {
				t.Errorf("%s does not list %s", index, page)
			}
		}
		if len(listed) > len(pages) {
			t.Errorf("%s lists %d pages, docs/ has %d", index, len(listed), len(pages))
		}
	}
}

// TestPagesAreEasyToRead checks what a program can check of the English of pages.
func TestPagesAreEasyToRead(t *testing.T) {
	t.Parallel()
	for _, page := range append(docPages(t), "docs/README.md", "README.md", "SECURITY.md") {
		if slices.Contains(generated, page) {
			continue
		}
		for _, fault := range proseFaults(readPage(t, page)) {
			t.Errorf("%s:%s", page, fault)
		}
	}
}

func TestProseFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 26)
	for text, want := range map[string]int{
		"Short. Sentences. Only.":                            0,
		"Not " + long + ".":                                  2, // the line is too long as well
		strings.Repeat("line\n", 6):                          1,
		"- item\n" + strings.Repeat("  goes on.\n", 5):       1,
		"```\n" + long + long + "\n```":                      0,
		"| a | " + strings.Repeat("x", 121) + " |":           1,
		"| [a](" + strings.Repeat("x", 121) + ") |":          0,
		"[a](" + strings.Repeat("x", 121) + ")":              0,
		"1. One.\n2. Two.\n3. Three.\n4. 4.\n5. 5.\n6. Six.": 0,
	} {
		if got := proseFaults(text); len(got) != want {
			t.Errorf("%q has %q, want %d faults", text, got, want)
		}
	}
}

var (
	linkTarget  = regexp.MustCompile(`\]\([^)]*\)`)
	item        = regexp.MustCompile(`^\s*([-*]|\d+\.) `)
	sentenceEnd = regexp.MustCompile(`[.!?]["')\]*]*\s+|;\s|\s[–—]\s`)
	inlineCode  = regexp.MustCompile("`[^`]*`")
)

// proseFaults returns what exceeds the bounds above, each with the number of its line.
func proseFaults(text string) (faults []string) {
	var paragraph []string
	first := 0
	end := func() {
		if len(paragraph) > maxParagraph {
			faults = append(faults, fmt.Sprintf("%d: a paragraph has %d lines, at most %d", first, len(paragraph), maxParagraph))
		}
		whole := inlineCode.ReplaceAllString(strings.Join(paragraph, " "), "code")
		for _, sentence := range sentenceEnd.Split(whole, -1) {
			if n := len(strings.Fields(sentence)); n > maxSentence {
				faults = append(faults, fmt.Sprintf("%d: a sentence has %d words, at most %d: %.60s", first, n, maxSentence, sentence))
			}
		}
		paragraph = nil
	}
	fenced := false
	for n, line := range strings.Split(text, "\n") {
		bare := strings.TrimSpace(line)
		fence := strings.HasPrefix(bare, "```")
		switch {
		case fence:
			fenced = !fenced
			end()
		case fenced:
		case strings.HasPrefix(bare, "|"):
			end()
			for cell := range strings.SplitSeq(linkTarget.ReplaceAllString(bare, "]"), "|") {
				if size := utf8.RuneCountInString(strings.TrimSpace(cell)); size > maxCell {
					faults = append(faults, fmt.Sprintf("%d: a cell has %d characters, at most %d: %.60s", n+1, size, maxCell, cell))
				}
			}
		case bare == "" || strings.HasPrefix(bare, "#") || strings.HasPrefix(bare, "<") || strings.HasPrefix(line, "    "):
			end()
		default:
			if item.MatchString(line) {
				end()
			}
			if len(paragraph) == 0 {
				first = n + 1
			}
			shown := linkTarget.ReplaceAllString(line, "]")
			if size := utf8.RuneCountInString(shown); size > maxColumns {
				faults = append(faults, fmt.Sprintf("%d: a line has %d columns, at most %d", n+1, size, maxColumns))
			}
			paragraph = append(paragraph, shown)
		}
	}
	end()
	return faults
}

// TestAnchorsExist checks links to headings, within a page and to another one.
func TestAnchorsExist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s:#]*)#([^)\s]+)\)`)
	for _, page := range append(docPages(t), "docs/README.md", "README.md", "SECURITY.md", "CONTRIBUTING.md") {
		for _, found := range link.FindAllStringSubmatch(readPage(t, page), -1) {
			target := page
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(page), found[1])
			}
			if strings.HasSuffix(target, ".md") && !slices.Contains(anchors(t, target), found[2]) {
				t.Errorf("%s has a link to %s#%s, which is no heading there", page, found[1], found[2])
			}
		}
	}
}

// anchors returns the anchors of a page as GitHub makes them.
func anchors(t *testing.T, page string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Error(err)
		return nil
	}
	other := regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	fenced := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") && !fenced {
			name := other.ReplaceAllString(strings.ToLower(strings.TrimSpace(linkTarget.ReplaceAllString(heading, "]"))), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
		for _, found := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(line, -1) {
			names = append(names, found[1])
		}
	}
	return names
}
