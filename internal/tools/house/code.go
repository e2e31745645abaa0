package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strings"
)

// figures are measurements by name, in the order in which they are printed.
type figures struct {
	names []string
	value map[string]string
}

func (f *figures) add(name, format string, args ...any) {
	f.names = append(f.names, name)
	f.value[name] = fmt.Sprintf(format, args...)
}

// largest keeps the largest number and where it was.
type largest struct {
	n     int
	where string
}

func (l *largest) see(n int, where string) {
	if n > l.n {
		l.n, l.where = n, where
	}
}

func (l largest) String() string { return fmt.Sprintf("%d  %s", l.n, l.where) }

// code is what is counted of the Go files.
type code struct {
	lines, testLines, files, testFiles int
	exported, public                   int // names; those in packages that others can import
	file, function                     largest
	testFile, testFunction             largest
	folders                            map[string]int // files in each package, without tests
}

func measure(files []file) *figures {
	c := code{folders: map[string]int{}}
	var docs, comments prose
	pages := 0
	for _, f := range files {
		switch path.Ext(f.name) {
		case ".go":
			c.add(f, &comments)
		case ".md":
			pages++
			docs.addPage(f)
		}
	}
	f := &figures{value: map[string]string{}}
	c.report(f)
	f.add("pages", "%d", pages)
	docs.report(f, "pages: ")
	comments.report(f, "comments: ")
	reportWords(f, files)
	return f
}

func (c *code) report(f *figures) {
	f.add("lines of Go", "%d", c.lines)
	f.add("lines of tests", "%d", c.testLines)
	f.add("files of Go", "%d", c.files)
	f.add("files of tests", "%d", c.testFiles)
	f.add("packages", "%d", len(c.folders))
	var widest largest
	for folder, n := range c.folders {
		if n == widest.n && folder < widest.where {
			widest.where = folder
		}
		widest.see(n, folder)
	}
	f.add("most files in a package", "%s", widest)
	f.add("exported names", "%d", c.exported)
	f.add("exported names, public", "%d", c.public)
	f.add("longest file", "%s", c.file)
	f.add("longest function", "%s", c.function)
	f.add("longest file of tests", "%s", c.testFile)
	f.add("longest function of tests", "%s", c.testFunction)
}

func (c *code) add(f file, comments *prose) {
	lines := strings.Count(f.text, "\n")
	test := strings.HasSuffix(f.name, "_test.go")
	longestFile, longestFunction := &c.file, &c.function
	if test {
		longestFile, longestFunction = &c.testFile, &c.testFunction
		c.testLines += lines
		c.testFiles++
	} else {
		c.lines += lines
		c.files++
		c.folders[path.Dir(f.name)]++
	}
	longestFile.see(lines, f.name)
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, f.name, f.text, parser.ParseComments)
	if err != nil {
		return // of a tree that does not build, the rest still counts
	}
	for _, group := range parsed.Comments {
		comments.addText(f.name, set.Position(group.Pos()).Line, group.Text())
	}
	comments.addWidth(f, isComment)
	for _, decl := range parsed.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok {
			from, to := set.Position(function.Pos()), set.Position(function.End())
			longestFunction.see(to.Line-from.Line+1, fmt.Sprintf("%s:%d %s", f.name, from.Line, function.Name))
		}
		if !test && parsed.Name.Name != "main" {
			n := exportedNames(decl)
			c.exported += n
			if !strings.Contains(f.name, "internal/") {
				c.public += n
			}
		}
	}
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "//") }

// exportedNames counts the exported names of a declaration: functions, methods of
// exported types, types, variables and constants.
func exportedNames(decl ast.Decl) (n int) {
	count := func(names ...*ast.Ident) {
		for _, name := range names {
			if name.IsExported() {
				n++
			}
		}
	}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil || receiverIsExported(decl.Recv) {
			count(decl.Name)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				count(spec.Name)
			case *ast.ValueSpec:
				count(spec.Names...)
			}
		}
	}
	return n
}

func receiverIsExported(list *ast.FieldList) bool {
	t := list.List[0].Type
	for {
		switch inner := t.(type) {
		case *ast.StarExpr:
			t = inner.X
		case *ast.IndexExpr:
			t = inner.X
		case *ast.IndexListExpr:
			t = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return false
		}
	}
}
