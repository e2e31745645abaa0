package gateway

import (
	"testing"
	"unsafe"
)

// TestX16AStreamFitsItsSizeClass: one byte more costs each idle stream 16.
func TestX16AStreamFitsItsSizeClass(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(conn{}); size > 240 {
		t.Errorf("a stream takes %d bytes, want 240 at most", size)
	}
}
