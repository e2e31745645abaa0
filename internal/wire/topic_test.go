package wire_test

import (
	"strings"
	"testing"

	"tidegate/internal/wire"
)

func TestValidTopic(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"": false, "a": true, "task:6f1c": true, ":": true, "a b": true, "ünïcode-\U0001F600": true, "\uFFFD": true, "\u00a0": true,
		strings.Repeat("x", wire.MaxTopicBytes): true, strings.Repeat("x", wire.MaxTopicBytes+1): false,
		strings.Repeat("é", wire.MaxTopicBytes/2): true, strings.Repeat("é", wire.MaxTopicBytes/2) + "x": false, // bytes, not letters
		"a\x00": false, "a\nb": false, "a\tb": false, "\x1f": false, "\x7f": false, "\u0080": false, "\u009f": false, "\xff": false, "a\xc3": false,
	} {
		if got := wire.ValidTopic(name); got != want {
			t.Errorf("ValidTopic(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]string{"task:1": "task", "task:1:2": "task", "version": "version", ":x": "", "": "", "a:": "a"} {
		if got := wire.Namespace(topic); got != want {
			t.Errorf("Namespace(%q) = %q, want %q", topic, got, want)
		}
	}
}
