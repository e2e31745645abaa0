package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/markdown/pagetest"
	"tidegate/internal/wire"
)

func TestReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	pagetest.Check(t, "errors.md", wire.Reference())
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

// TestPagesNameCodesThatExist, with the status that the reference gives where a table has one.
func TestPagesNameCodesThatExist(t *testing.T) {
	t.Parallel()
	statuses := map[string]string{}
	for _, c := range wire.CodeTable() {
		statuses[string(c.Code)] = c.Status
	}
	code := regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)+)`")
	row := regexp.MustCompile("\\| (\\d{3}) (?:\\| )?`([A-Z]+(?:_[A-Z]+)+)`")
	pages, err := filepath.Glob("../../docs/reference/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			if statuses[m[1]] == "" && !strings.HasPrefix(m[1], "TIDEGATE_") && !slices.Contains(notCodes, m[1]) {
				t.Errorf("%s names %s, which is no error code", page, m[1])
			}
			named++
		}
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(statuses[m[2]], m[1]) && statuses[m[2]] != "" {
				t.Errorf("%s has %s with status %s, the reference says %s", page, m[2], m[1], statuses[m[2]])
			}
		}
	}
	if named < 50 {
		t.Errorf("the pages name %d codes: this test looks for the wrong form", named)
	}
}

// notCodes are words in capitals on the pages that are no error codes.
var notCodes = []string{"CALLBACK_URL", "HEARTBEAT_INTERVAL_SECONDS"}

// TestProtocolHasEveryEnding in its table of disconnects.
func TestProtocolHasEveryEnding(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/reference/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []wire.Ending
	var reason wire.Reason
	for _, m := range regexp.MustCompile("(?m)^\\| (?:`(client_closed|server_closed|error)` )?\\| (?:`(\\w+)`|–) \\| .* \\|$").FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			reason = wire.Reason(m[1])
		}
		if reason != "" {
			got = append(got, wire.Ending{Reason: reason, Detail: wire.Detail(m[2])})
		}
	}
	order := func(a, b wire.Ending) int {
		return strings.Compare(string(a.Reason+"/")+string(a.Detail), string(b.Reason+"/")+string(b.Detail))
	}
	want := wire.Endings()
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of disconnects in protocol.md (-wire +page):\n%s", diff)
	}
}
