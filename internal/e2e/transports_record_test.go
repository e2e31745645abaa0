package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// record is what outsiders saw of a behaviour. Only what must differ from run
// to run is not kept: ids, which are numbered as they come, and the random part
// of retry fields.
type record struct {
	text       strings.Builder
	generation *regexp.Regexp
	ids        map[string]string
}

var retryField = regexp.MustCompile(`(?m)^retry: [0-9]+$`)

func (r *record) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	text = r.generation.ReplaceAllStringFunc(text, func(id string) string {
		if r.ids[id] == "" {
			r.ids[id] = fmt.Sprintf("#%d", len(r.ids)+1)
		}
		return r.ids[id]
	})
	r.text.WriteString(retryField.ReplaceAllString(text, "retry: N"))
}

// wantSame shows where two records part.
func wantSame(t *testing.T, name, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-300)
	show := func(text string) string { return text[from:min(len(text), at+300)] }
	t.Errorf("%s: from byte %d of %d (want %d):\n--- got\n%s\n--- want\n%s", name, at, len(got), len(want), show(got), show(want))
}
