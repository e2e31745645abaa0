package gateway

import (
	"testing"
	"unsafe"
)

// TestX16AStreamFitsItsSizeClass: one byte more costs each idle stream 32.
func TestX16AStreamFitsItsSizeClass(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(conn{}); size > 256 {
		t.Errorf("a stream takes %d bytes, want 256 at most", size)
	}
}
