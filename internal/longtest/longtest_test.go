package longtest

import "testing"

func TestNumber(t *testing.T) {
	t.Setenv(Variable, "")
	if n := Number(1, 2); n != 1 {
		t.Errorf("by default %d, want the short run", n)
	}
	t.Setenv(Variable, "1")
	if n := Number(1, 2); n != 2 {
		t.Errorf("with the variable %d, want the long run", n)
	}
}
