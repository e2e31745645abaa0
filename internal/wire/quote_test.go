package wire_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tidegate/internal/wire"
)

// texts have every ASCII character, and what is special beyond.
func texts() []string {
	ascii := make([]byte, 0x80)
	for i := range ascii {
		ascii[i] = byte(i)
	}
	return []string{
		"", "x", string(ascii), `a "b" \ /`, "<script>&amp;</script>", "line\u2028paragraph\u2029", "Zürich 東京 🙂 \ufffd",
		"\xff", "a\xc3", "\xe2\x80", "\xed\xa0\x80b", "\xf0\x9f\x99", "\xc0\x80", strings.Repeat("long \n", 1000),
	}
}

// sameAsEncodingJSON compares s as a string of its own with what the two ways of
// encoding/json give it.
func sameAsEncodingJSON(t *testing.T, s string) {
	t.Helper()
	for name, tt := range map[string]struct {
		html   bool
		append func(dst []byte, s string) []byte
	}{
		"AppendJSONString": {false, wire.AppendJSONString},
		"appendQuoted":     {true, wire.AppendQuoted},
	} {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(tt.html)
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
		got := string(tt.append([]byte("before "), s)) + "\n"
		if got != "before "+want.String() {
			t.Errorf("%s(%q) appends %s, want %s", name, s, got, want.String())
		}
	}
}

func TestStringsAreLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, s := range texts() {
		sameAsEncodingJSON(t, s)
	}
}

func FuzzStringsLikeEncodingJSON(f *testing.F) {
	for _, s := range texts() {
		f.Add(s)
	}
	f.Fuzz(sameAsEncodingJSON)
}

func TestStringsMakeNoGarbage(t *testing.T) {
	dst := make([]byte, 0, 64<<10)
	for _, s := range texts() {
		if n := testing.AllocsPerRun(10, func() { dst = wire.AppendJSONString(dst[:0], s) }); n != 0 {
			t.Errorf("%q: %v allocations, want none", s, n)
		}
	}
}
