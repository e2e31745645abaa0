package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestCallbacksStartABackend: without a URL, callbacks go to a new process.
func TestCallbacksStartABackend(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"callbacks", "--count", "20", "--concurrency", "4"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.Bytes())
	}
	var got struct {
		Count int     `json:"count"`
		CPU   float64 `json:"cpu_us_per_call"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.Count != 40 || got.CPU <= 0 {
		t.Errorf("printed %q (%v), want 40 calls and their CPU", stdout.Bytes(), err)
	}
}
