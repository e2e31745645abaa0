// Package pagetest compares generated pages of the documentation with what they are
// generated from. A test binary that imports it has the flag -update, which writes them.
package pagetest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated pages")

// Check fails the test if the file docs/reference/name is not want. It is for tests of
// packages two folders below the root of the repository.
func Check(t testing.TB, name string, want []byte) {
	t.Helper()
	page := filepath.Join("..", "..", "docs", "reference", name)
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
		t.Errorf("docs/reference/%s is out of date; run the test of this package with: -run TestReference -update\n%s", name, diff)
	}
}
