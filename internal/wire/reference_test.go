package wire_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/wire"
)

var update = flag.Bool("update", false, "rewrite docs/reference/errors.md")

func TestReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "reference", "errors.md")
	want := wire.Reference()
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/reference/errors.md is out of date; run: go test ./internal/wire -run TestReference -update\n%s", diff)
	}
}

// TestReferenceHasTheStatusesOfTheCode: wherever the program makes an error, its status is the one
// that the reference gives for its code, and each code is made somewhere.
func TestReferenceHasTheStatusesOfTheCode(t *testing.T) {
	t.Parallel()
	used := map[string][]string{} // by the constant's name
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if status, code := madeError(n); code != "" && !slices.Contains(used[code], status) {
				used[code] = append(used[code], status)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, code := range constants(t) {
		i := slices.IndexFunc(wire.CodeTable(), func(c wire.CodeInfo) bool { return string(c.Code) == code })
		if i < 0 {
			continue // TestX50CodesHasEveryCode reports it
		}
		if len(used[name]) == 0 {
			t.Errorf("no error has the code %s", code)
		}
		for _, status := range used[name] {
			if listed := wire.CodeTable()[i].Status; status != "" && !strings.Contains(listed, status) {
				t.Errorf("%s is made with status %s, the reference says %s", code, status, listed)
			}
		}
	}
}

// madeError returns the status and the name of the code of an error that n makes: a call of
// Errorf or of a function that takes both, or a literal with both. The status is "" if it is no
// constant.
func madeError(n ast.Node) (status, code string) {
	switch n := n.(type) {
	case *ast.CallExpr:
		for i, arg := range n.Args {
			if name := codeName(arg); name != "" {
				if i == 1 {
					status = statusOf(n.Args[0])
				}
				return status, name
			}
		}
	case *ast.CompositeLit:
		for _, e := range n.Elts {
			pair, ok := e.(*ast.KeyValueExpr)
			if !ok {
				if name := codeName(e); name != "" && len(n.Elts) < 5 { // not the list itself
					code = name
				}
				continue
			}
			switch key, _ := pair.Key.(*ast.Ident); {
			case key == nil:
			case strings.EqualFold(key.Name, "status"):
				status = statusOf(pair.Value)
			case key.Name == "Code":
				code = codeName(pair.Value)
			}
		}
	}
	return status, code
}

func codeName(e ast.Expr) string {
	name := lastName(e)
	if strings.HasPrefix(name, "Code") && len(name) > len("Code") && name != "CodeInfo" && name != "CodeTable" {
		return name
	}
	return ""
}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func statusOf(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		return lit.Value
	}
	name := strings.TrimPrefix(lastName(e), "Status")
	for status := 100; status < 600; status++ {
		if text := http.StatusText(status); text != "" && strings.ReplaceAll(text, " ", "") == name {
			return strconv.Itoa(status)
		}
	}
	return ""
}
