package logging_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidegate/internal/logging"
)

// TestX50ALineIsReadable: durations have a unit, and nothing is <nil>.
func TestX50ALineIsReadable(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		o, log := open(t, logging.Options{Format: format, Stderr: &out})
		var none error
		log.With("since", time.Minute).WithGroup("g").Info("a line", "took", 1500*time.Millisecond, "cause", none, "any", any(2*time.Second), "n", 3)
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		line := out.String()
		if strings.Contains(line, "nil") || strings.Contains(line, "null") || strings.Contains(line, "00000") {
			t.Errorf("%s: %s", format, line)
		}
		for _, want := range []string{"1m0s", "1.5s", "2s", "3"} {
			if !strings.Contains(line, want) {
				t.Errorf("%s has no %s: %s", format, want, line)
			}
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
