package token_test

import (
	"strings"
	"testing"

	"tidegate/internal/gateway/token"
)

func TestParse(t *testing.T) {
	t.Parallel()
	drawn := token.New()
	text := drawn.String()
	if got := string(drawn.Append(nil)); got != text || len(text) != 22 {
		t.Errorf("Append gives %q, String %q", got, text)
	}
	for _, node := range []string{"", "node1234"} {
		got, on, ok := token.Parse(text + node)
		if got != drawn || on != node || !ok {
			t.Errorf("Parse(%q) = %v, %q, %v", text+node, got, on, ok)
		}
	}
	for _, wrong := range []string{"", text[1:], text + "x", text + "node12345", strings.Repeat("!", 22), strings.Repeat("A", 21) + "B"} {
		if got, _, ok := token.Parse(wrong); ok { // the last one has bits that belong to no byte
			t.Errorf("Parse(%q) = %v, want none", wrong, got)
		}
	}
}

// FuzzParse: a token has one text, with or without a node.
func FuzzParse(f *testing.F) {
	f.Add(strings.Repeat("A", 22))
	f.Add(strings.Repeat("_", 21) + "w" + "node1234")
	f.Fuzz(func(t *testing.T, text string) {
		if got, node, ok := token.Parse(text); ok && got.String()+node != text {
			t.Errorf("Parse(%q) = %v on %q, whose text is another", text, got, node)
		}
	})
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	text := token.New().String()
	if got := token.Fingerprint(text); len(got) != 8 || strings.Contains(text, got) || got != token.Fingerprint(text) {
		t.Errorf("Fingerprint(%q) = %q", text, got)
	}
}
