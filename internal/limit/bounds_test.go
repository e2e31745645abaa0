package limit

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneAddressHasAQuarterOfTheBytes: the others keep the rest, and this machine has no
// bound of its own.
func TestOneAddressHasAQuarterOfTheBytes(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	s := NewShare(400)
	for _, c := range []struct {
		who  netip.Addr
		n    int64
		want bool
	}{
		{a, 60, true}, {a, 40, true}, {a, 1, false}, // a quarter
		{b, 100, true}, {b, 1, false},
		{netip.MustParseAddr("127.0.0.1"), 199, true}, {netip.MustParseAddr("127.0.0.1"), 2, false}, // all
		{a, 1, false},
	} {
		if got := s.Add(c.who, c.n); got != c.want {
			t.Errorf("%s adds %d to %d bytes: %t, want %t", c.who, c.n, s.Bytes(), got, c.want)
		}
	}
	s.Remove(a, 100)
	if !s.Add(a, 100) || s.Bytes() != 399 {
		t.Errorf("what was given back is not free: %d bytes", s.Bytes())
	}
}

// TestAQuietAddressSavesUpOneSecond: a burst is what one second allows, however long
// nothing came before.
func TestAQuietAddressSavesUpOneSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rates{perSecond: 3}
		burst := func() (n int) {
			for r.allow(1) {
				n++
			}
			return n
		}
		if n := burst(); n != 3 {
			t.Errorf("%d connects at once at first, want 3", n)
		}
		time.Sleep(time.Hour)
		if n := burst(); n != 3 {
			t.Errorf("%d connects at once after an hour, want 3", n)
		}
		time.Sleep(time.Second / 2)
		if n := burst(); n != 1 {
			t.Errorf("%d connects after half a second, want 1", n)
		}
	})
}
