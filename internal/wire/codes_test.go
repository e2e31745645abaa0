package wire_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"tidegate/internal/wire"
)

// constants are the declared codes, by the name of the constant.
func constants(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t(Code\w+) +Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		declared[m[1]] = m[2]
	}
	return declared
}

// TestX50CodesHasEveryCode that is declared.
func TestX50CodesHasEveryCode(t *testing.T) {
	t.Parallel()
	declared := constants(t)
	if len(declared) < 20 || len(declared) != len(wire.Codes()) {
		t.Errorf("%d codes are declared, Codes has %d", len(declared), len(wire.Codes()))
	}
	for _, code := range declared {
		if !slices.Contains(wire.Codes(), wire.Code(code)) {
			t.Errorf("Codes lacks %s", code)
		}
	}
}
