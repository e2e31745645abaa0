package licenses

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write licenses.txt anew from the module cache")

// TestTextsAreThoseOfTheModulesThatAreLinked compares with what the go command says of
// the program, and with the texts in the module cache.
func TestTextsAreThoseOfTheModulesThatAreLinked(t *testing.T) {
	t.Parallel()
	want := format(t, collect(t))
	if *update {
		if err := os.WriteFile("licenses.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(generated, "\n")); diff != "" {
		t.Errorf("licenses.txt is not what the program links; run: go test ./internal/licenses -update\n%.3000s", diff)
	}
}

// TestEveryLicenceIsKnownAndPermissive: whoever adds a dependency with another kind of
// licence has to think first.
func TestEveryLicenceIsKnownAndPermissive(t *testing.T) {
	t.Parallel()
	all := All()
	if len(all) < 10 {
		t.Fatalf("only %d modules", len(all))
	}
	for _, m := range all {
		if kinds := m.Kinds(); len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(k, "?") }) {
			t.Errorf("%s %s: licences %q; read its text and teach kindOf if it may be linked", m.Path, m.Version, kinds)
		}
	}
}

// TestSizeIsBounded: the texts are in memory of every process only when they are
// printed, but in the binary always.
func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	if len(generated) > 1<<20 {
		t.Errorf("licenses.txt has %d bytes: compress it, or link less", len(generated))
	}
}

func TestPrintHasEveryTextWhole(t *testing.T) {
	t.Parallel()
	var all, list strings.Builder
	if err := Print(&all); err != nil {
		t.Fatal(err)
	}
	if err := List(&list); err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		if !strings.Contains(list.String(), "\n"+m.Path+" ") {
			t.Errorf("the table lacks %s", m.Path)
		}
		for _, text := range m.Texts {
			if len(text.Body) < 100 || !strings.Contains(all.String(), text.Body) || !strings.Contains(all.String(), m.Path+" "+m.Version) {
				t.Errorf("%s %s: %s is not there", m.Path, m.Version, text.Name)
			}
		}
	}
}

func TestKindsOfLicences(t *testing.T) {
	t.Parallel()
	const (
		mit  = "Permission is hereby granted, free of charge, to any\nperson obtaining a copy"
		bsd2 = "Redistributions in binary form must reproduce the above copyright notice, "
		bsd3 = bsd2 + "may be used to endorse or promote products derived from this software without specific prior written permission"
	)
	for want, m := range map[string]Module{
		"MIT":                  {Texts: []Text{{"LICENSE", mit}, {"NOTICE", "of nobody"}}},
		"MIT,BSD-2-Clause":     {Texts: []Text{{"LICENSE", mit}, {"x/LICENSE", bsd2}, {"y/LICENSE", mit}}},
		"BSD-3-Clause":         {Texts: []Text{{"COPYING", bsd3}}},
		"?":                    {Texts: []Text{{"LICENSE", "All rights reserved."}}},
		"MIT AND BSD-3-Clause": {Texts: []Text{{"LICENSE", mit + " " + bsd3}}},
	} {
		if got := strings.Join(m.Kinds(), ","); got != want {
			t.Errorf("kinds %q, want %q", got, want)
		}
	}
}
