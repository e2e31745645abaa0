package topic

import (
	"testing"
	"unsafe"
)

// TestAnEntryOwnsItsTexts: also where all but one are empty.
func TestAnEntryOwnsItsTexts(t *testing.T) {
	t.Parallel()
	body := []byte("topic")
	text := unsafe.String(&body[0], len(body))
	for _, e := range []Entry{{Topic: text}, {Topic: "a", Data: text}, {Name: text}} {
		mine := e.clone()
		clear(body)
		if mine.Topic+mine.Name+mine.Data != "topic" && mine.Topic+mine.Name+mine.Data != "atopic" {
			t.Errorf("%+v has changed with the body", mine)
		}
		copy(body, "topic")
	}
}
