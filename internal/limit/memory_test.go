package limit

import (
	"runtime"
	"testing"
)

// TestX14AnAddressTakesFewBytes: there may be as many addresses as streams.
func TestX14AnAddressTakesFewBytes(t *testing.T) {
	const n = 200_000
	var a addresses
	before := heapBytes()
	for i := range uint64(n) {
		a.add(i*0x9e3779b97f4a7c15|1, 1, 1, 10)
	}
	each := (heapBytes() - before) / n
	if each > 48 {
		t.Errorf("an address takes %d bytes, want 48 at most", each)
	}
	t.Logf("%d bytes for each address", each)
	runtime.KeepAlive(&a)
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
