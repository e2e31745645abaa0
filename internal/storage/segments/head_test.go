package segments

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := openHead(system{}, dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	for last := uint64(8); last < 11; last++ {
		if err := h.write(last); err != nil {
			t.Fatal(err)
		}
		if got, ok := readHead(system{}, dir); !ok || got != last {
			t.Fatalf("head is %d, %v; want %d", got, ok, last)
		}
	}
	path := filepath.Join(dir, headName)
	b, _ := os.ReadFile(path)
	b[0] ^= 1 // one of the slots, not both
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := readHead(system{}, dir); !ok || got < 9 {
		t.Errorf("with a slot damaged the head is %d, %v", got, ok)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := h.write(11); err == nil && h.memory != nil {
		t.Error("a head that was cut off can be written")
	}
	if _, ok := readHead(system{}, dir); ok {
		t.Error("a head that was cut off can be read")
	}
	_ = h.close()
}

// TestTwoTornWritesLeaveAHead: the slot that is whole is not written to until the other
// one is whole again.
func TestTwoTornWritesLeaveAHead(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), &faultFS{}
	h, err := openHead(files, dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	files.set(func(_ int, op, _ string) fault { return fault{err: errCut, short: op == "write"} })
	for last := uint64(8); last < 11; last++ {
		if err := h.write(last); err == nil {
			t.Fatal("a write that was cut is no error")
		}
		if got, ok := readHead(system{}, dir); !ok || got != 7 {
			t.Fatalf("head is %d, %v; want 7", got, ok)
		}
	}
	files.set(nil)
	if err := h.write(11); err != nil {
		t.Fatal(err)
	}
	if got, ok := readHead(system{}, dir); !ok || got != 11 {
		t.Errorf("head is %d, %v; want 11", got, ok)
	}
	if err := h.close(); err != nil {
		t.Error(err)
	}
}
