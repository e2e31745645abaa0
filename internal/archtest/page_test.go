package archtest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the column \"may import\" of "+architecture)

const architecture = "docs/explanation/architecture.md"

// TestArchitecturePageHasTheTableOfImports compares the tables under "Packages" with allowed, both
// ways: each package has one row, and the row has what the package may import.
func TestArchitecturePageHasTheTableOfImports(t *testing.T) {
	t.Parallel()
	text := readPage(t, architecture)
	before, tables, found := strings.Cut(text, "\n## Packages\n")
	if !found {
		t.Fatalf("%s has no heading \"## Packages\"", architecture)
	}
	tables, after, found := strings.Cut(tables, "\n## ")
	if !found {
		t.Fatalf("%s has nothing behind its packages", architecture)
	}
	rendered, listed := renderImports(tables)
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		if n := listed[name]; n != 1 {
			t.Errorf("%s has %d rows for %s, want one: | `%[3]s` | what it is for | |", architecture, n, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if _, ok := allowed[name]; !ok {
			t.Errorf("%s has a row for %s, which is not in the table of imports", architecture, name)
		}
	}
	whole := before + "\n## Packages\n" + rendered + "\n## " + after
	if *update {
		if err := os.WriteFile(filepath.Join(root, architecture), []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if whole != text {
		t.Errorf("%s does not say what packages may import; run: go test ./internal/archtest -run TestArchitecturePage -update", architecture)
	}
}

// renderImports returns the tables with the imports of allowed, and how many rows each package has.
// Imports that are too long for a cell go on in rows without a name.
func renderImports(tables string) (text string, listed map[string]int) {
	listed = map[string]int{}
	var out strings.Builder
	for line := range strings.Lines(tables) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || strings.HasPrefix(line, "| package ") || strings.HasPrefix(line, "| --- ") {
			out.WriteString(line)
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[0]), "`")
		if name == "" {
			continue // the rest of the row above
		}
		listed[name]++
		first := fmt.Sprintf("| `%s` | %s |", name, strings.TrimSpace(cells[1]))
		for _, cell := range importCells(allowed[name]) {
			fmt.Fprintf(&out, "%s %s |\n", first, cell)
			first = "| | |"
		}
	}
	return out.String(), listed
}

// importCells joins the names of packages to texts that fit a cell.
func importCells(imports []string) (cells []string) {
	if len(imports) == 0 {
		return []string{"–"}
	}
	short := strings.NewReplacer("internal/", "", "measure/reliability/", "")
	cell := ""
	for _, name := range slices.Sorted(slices.Values(imports)) {
		name = short.Replace(name)
		if cell != "" && len(cell)+len(", ")+len(name) > maxCell {
			cells, cell = append(cells, cell), ""
		}
		if cell != "" {
			cell += ", "
		}
		cell += name
	}
	return append(cells, cell)
}
