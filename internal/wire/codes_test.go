package wire_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"tidegate/internal/wire"
)

// TestX50CodesHasEveryCode that is declared.
func TestX50CodesHasEveryCode(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\tCode\w+ +Code = "(\w+)"`).FindAllSubmatch(source, -1)
	if len(declared) < 20 || len(declared) != len(wire.Codes()) {
		t.Errorf("%d codes are declared, Codes has %d", len(declared), len(wire.Codes()))
	}
	for _, m := range declared {
		if !slices.Contains(wire.Codes(), wire.Code(m[1])) {
			t.Errorf("Codes lacks %s", m[1])
		}
	}
}
