package bench

import (
	"encoding/json"
	"testing"
)

func TestEventsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for _, m := range []mark{{1, everyone, 0}, {1 << 40, 199_999, 1764000000123456789}, {7, 0, 1 << 62}} {
		data := appendData([]byte("before"), m, minSize)[len("before"):]
		if got, ok := parseMark(data); !ok || got != m {
			t.Errorf("parseMark(%q) = %v, %v, want %v", data, got, ok, m)
		}
		if len(data) != minSize {
			t.Errorf("data of %v has %d bytes, want %d", m, len(data), minSize)
		}
		var message struct {
			Topic string
			Event struct{ Name, Data string }
		}
		body := appendMessage(nil, topicTarget("bench:1"), m, minSize)
		if err := json.Unmarshal(body, &message); err != nil || message.Topic != "bench:1" || message.Event.Data != string(data) {
			t.Errorf("message %s: %v", body, err)
		}
	}
}

func TestParseMarkRefuses(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "1", "1 2", "1 2 3", " 1 2 3 ", "a 2 3 .", "1 b 3 .", "1 2 - .", "0 1 2 .", "-1 1 2 .", "1 2 99999999999999999999 ."} {
		if m, ok := parseMark([]byte(data)); ok {
			t.Errorf("parseMark(%q) = %v, want none", data, m)
		}
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add("1 -1 1764000000000000000 ....")
	f.Add("9223372036854775807 9223372036854775807 9223372036854775807 ")
	f.Fuzz(func(t *testing.T, data string) {
		m, ok := parseMark([]byte(data))
		if !ok {
			return
		}
		if again, ok := parseMark(appendData(nil, m, 0)); !ok || again != m {
			t.Errorf("parseMark(%q) = %v, which is read back as %v, %v", data, m, again, ok)
		}
	})
}
