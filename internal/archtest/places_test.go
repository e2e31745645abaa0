package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPlacesExist checks each file that pages name in code spans, and each function or type that
// "Where is what" names behind its file, as in `sse/event.go`: `Append`.
func TestPlacesExist(t *testing.T) {
	t.Parallel()
	file := regexp.MustCompile("`((?:cmd|client|sse|task|internal|measure|examples|deploy|docs)/[\\w./-]+\\.\\w+)`")
	for _, page := range append(docPages(t), "README.md") {
		if page == "docs/guides/migration.md" {
			continue // names files of former versions
		}
		for _, found := range file.FindAllStringSubmatch(readPage(t, page), -1) {
			if _, err := os.Stat(filepath.Join(root, found[1])); err != nil {
				t.Errorf("%s names %s: %v", page, found[1], err)
			}
		}
	}
	const page = "docs/explanation/where-is-what.md"
	text := strings.Join(strings.Fields(readPage(t, page)), " ")
	named := regexp.MustCompile("`([\\w/-]+\\.go)`: `([\\w.]+)`").FindAllStringSubmatch(text, -1)
	if len(named) < 15 {
		t.Fatalf("%s names only %d functions", page, len(named))
	}
	for _, found := range named {
		if !declares(t, filepath.Join(root, found[1]), found[2]) {
			t.Errorf("%s names %s in %s, which does not declare it", page, found[2], found[1])
		}
	}
	if questions := strings.Count(readPage(t, page), "\n## "); questions < 10 {
		t.Errorf("%s answers %d questions, want ten", page, questions)
	}
}

// TestReadmeLeadsToWhereIsWhat keeps each answer two steps from the README.
func TestReadmeLeadsToWhereIsWhat(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "CONTRIBUTING.md"} {
		if !strings.Contains(readPage(t, page), "](docs/explanation/where-is-what.md)") {
			t.Errorf("%s has no link to docs/explanation/where-is-what.md", page)
		}
	}
}

// declares reports whether a file declares a function, a type, or a method as Type.Method.
func declares(t *testing.T, path, name string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == name || d.Recv != nil && receiver(d)+"."+d.Name.Name == name {
				return true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.Name == name {
					return true
				}
			}
		}
	}
	return false
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			return id.Name
		}
	}
	return ""
}
