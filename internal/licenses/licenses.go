// Package licenses has the licence texts of every module that the program links. They
// must travel with the binary: most of them ask for that.
//
// The texts are in licenses.txt, which is generated from the module cache:
//
//	go test ./internal/licenses -update
package licenses

import (
	_ "embed"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
)

//go:embed licenses.txt
var generated string

// Module is one module and what it asks for.
type Module struct {
	Path    string // "std" for Go's own library
	Version string // as in go.mod; of std, that of the toolchain
	Texts   []Text // in the order of their names
}

// Text is one file of a module: a licence, a notice, a grant of patents.
type Text struct {
	Name string // from the root of the module
	Body string
}

// All returns the modules in the order of their paths.
func All() []Module {
	modules := parse(generated)
	for i := range modules {
		if modules[i].Path == std {
			modules[i].Version = runtime.Version()
		}
	}
	return modules
}

// std stands for the library of Go itself, whose version is that of the toolchain: the
// file has "-" for it.
const std = "std"

// List writes a table of modules, versions and kinds of licences.
func List(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MODULE\tVERSION\tLICENSE")
	for _, m := range All() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", m.Path, m.Version, strings.Join(m.Kinds(), ", "))
	}
	return t.Flush()
}

// Print writes every text whole.
func Print(w io.Writer) error {
	for _, m := range All() {
		for _, text := range m.Texts {
			rule := strings.Repeat("=", 80)
			if _, err := fmt.Fprintf(w, "%s\n%s %s: %s\n%s\n\n%s\n", rule, m.Path, m.Version, text.Name, rule, text.Body); err != nil {
				return err
			}
		}
	}
	return nil
}

// Kinds are the SPDX identifiers of a module's licences, "?" for one that is not known.
func (m Module) Kinds() []string {
	var kinds []string
	seen := map[string]bool{}
	for _, text := range m.Texts {
		kind := kindOf(text)
		if kind != "" && !seen[kind] {
			seen[kind] = true
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// kindOf recognises a licence by sentences that only it has. A notice has no kind.
func kindOf(t Text) string {
	name := strings.ToUpper(t.Name[strings.LastIndexByte(t.Name, '/')+1:])
	if strings.HasPrefix(name, "NOTICE") || strings.HasPrefix(name, "PATENTS") {
		return ""
	}
	body := strings.Join(strings.Fields(t.Body), " ")
	var kinds []string
	for _, k := range []struct{ kind, sentence string }{
		{"Apache-2.0", "Apache License Version 2.0, January 2004"},
		{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
		{"BSD-3-Clause", "may be used to endorse or promote products derived from this software without specific prior written permission"},
		{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright notice"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
		{"CC0-1.0", "CC0 1.0 Universal"},
	} {
		if strings.Contains(body, k.sentence) && !(k.kind == "BSD-2-Clause" && len(kinds) > 0 && kinds[len(kinds)-1] == "BSD-3-Clause") {
			kinds = append(kinds, k.kind)
		}
	}
	if len(kinds) == 0 {
		return "?"
	}
	return strings.Join(kinds, " AND ")
}

// The file is a row of texts, each under a line of its own:
//
//	-- example.org/module v1.2.3 LICENSE --
const (
	mark    = "-- "
	endMark = " --"
)

// parse reads the generated file. A line that looks like a mark cannot be part of a
// text: the generator refuses it.
func parse(file string) []Module {
	var modules []Module
	for line := range strings.Lines(file) {
		if path, version, name, ok := parseMark(line); ok {
			if n := len(modules); n == 0 || modules[n-1].Path != path {
				modules = append(modules, Module{Path: path, Version: version})
			}
			last := &modules[len(modules)-1]
			last.Texts = append(last.Texts, Text{Name: name})
			continue
		}
		if n := len(modules); n > 0 { // above the first mark is a remark
			texts := modules[n-1].Texts
			texts[len(texts)-1].Body += line
		}
	}
	return modules
}

func parseMark(line string) (path, version, name string, ok bool) {
	line, begins := strings.CutPrefix(strings.TrimSuffix(line, "\n"), mark)
	line, ends := strings.CutSuffix(line, endMark)
	words := strings.Split(line, " ")
	if !begins || !ends || len(words) != 3 {
		return "", "", "", false
	}
	return words[0], words[1], words[2], true
}
