// House measures the shape of this repository at two revisions, side by side: lines,
// packages, exported names, the longest files and functions, the length of sentences,
// and words that the glossary has replaced.
//
//	go run ./internal/tools/house                 the working tree beside its last commit
//	go run ./internal/tools/house v0.1.0          the working tree beside a revision
//	go run ./internal/tools/house v0.1.0 main     one revision beside another
//	go run ./internal/tools/house -words PATH …   each old word in the working tree: file, line, text
//	go run ./internal/tools/house -long PATH …    each long sentence, wide line and long paragraph
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

const usage = `Usage: go run ./internal/tools/house [BEFORE [AFTER]]
       go run ./internal/tools/house -words [-all] [PATH …]
       go run ./internal/tools/house -long [PATH …]

The first form measures two revisions side by side. BEFORE is HEAD and AFTER is the
working tree unless given. The others list what to mend in the working tree, in all
of it or in the files whose names begin with a PATH, and exit with 1 if there is any.

`

func main() {
	words := flag.Bool("words", false, "list words that the glossary has replaced, with file and line")
	all := flag.Bool("all", false, "with -words: list words too that are right in some places")
	long := flag.Bool("long", false, "list sentences, lines and paragraphs of prose that are too long")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	switch {
	case *words:
		err = listWords(os.Stdout, *all, flag.Args())
	case *long:
		err = listLong(os.Stdout, flag.Args())
	default:
		err = compare(os.Stdout, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
}

// compare prints the figures of two revisions.
func compare(w io.Writer, revisions []string) error {
	before, after := "HEAD", ""
	switch len(revisions) {
	case 0:
	case 1:
		before = revisions[0]
	case 2:
		before, after = revisions[0], revisions[1]
	default:
		return fmt.Errorf("at most two revisions, not %d", len(revisions))
	}
	old, err := readTree(before)
	if err != nil {
		return err
	}
	now, err := readTree(after)
	if err != nil {
		return err
	}
	if after == "" {
		after = "working tree"
	}
	left, right := measure(old), measure(now)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\t%s\t%s\n", before, after)
	for _, name := range rows(left, right) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, left.value[name], right.value[name])
	}
	return t.Flush()
}

// rows are the names of all figures, in the order of the later revision.
func rows(left, right *figures) []string {
	names := slices.Clone(right.names)
	for _, name := range left.names {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func listWords(w io.Writer, all bool, paths []string) error {
	files, err := readTree("")
	if err != nil {
		return err
	}
	n := 0
	for _, f := range under(files, paths) {
		for _, found := range oldWords(f, all) {
			fmt.Fprintf(w, "%s:%d: %s (say: %s): %s\n", f.name, found.line, found.word.old, found.word.now, strings.TrimSpace(found.text))
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d old words", n)
	}
	return nil
}

func listLong(w io.Writer, paths []string) error {
	files, err := readTree("")
	if err != nil {
		return err
	}
	n := 0
	for _, f := range under(files, paths) {
		for _, found := range tooLong(f) {
			fmt.Fprintf(w, "%s:%d: %s\n", f.name, found.line, found.text)
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d places", n)
	}
	return nil
}

// under leaves the files whose names begin with one of the paths.
func under(files []file, paths []string) []file {
	if len(paths) == 0 {
		return files
	}
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(f.name, strings.TrimPrefix(p, "./")) })
	})
}
