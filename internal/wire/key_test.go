package wire_test

import (
	"testing"

	"tidegate/internal/wire"
)

// TestEachLineOfABatchHasAKeyOfItsOwn, made of the request's: a repeat of the request
// repeats each line.
func TestEachLineOfABatchHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	keys := map[string]int{}
	for line := 1; line <= 1000; line++ {
		m, again := wire.Message{Topic: "t"}, wire.Message{Topic: "t"}
		if m.SetLineKey("key", line) != nil || again.SetLineKey("key", line) != nil {
			t.Fatalf("line %d is refused", line)
		}
		if other, taken := keys[m.IdempotencyKey]; taken || m.IdempotencyKey != again.IdempotencyKey {
			t.Fatalf("line %d has the key %q, line %d the same; again it has %q", line, m.IdempotencyKey, other, again.IdempotencyKey)
		}
		keys[m.IdempotencyKey] = line
	}
	own := wire.Message{Topic: "t", IdempotencyKey: "own"}
	if err := own.SetLineKey("key", 1); err != nil || own.IdempotencyKey != "own" {
		t.Errorf("a line with a key of its own has %q, %v", own.IdempotencyKey, err)
	}
}
