package port_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"tidegate/internal/leftover"
	"tidegate/internal/port"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

// TestAReservedPortIsGivenToNobodyElse: whoever asks for any port, or connects, gets
// another one, while a server that asks for this one gets it, also again.
func TestAReservedPortIsGivenToNobodyElse(t *testing.T) {
	reserved := map[string]bool{}
	for range 50 {
		address, release, err := port.Reserve("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if reserved[address] {
			t.Errorf("%s was reserved twice", address)
		}
		reserved[address] = true
	}
	any, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer any.Close()
	for range 500 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", any.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, address := range []string{l.Addr().String(), c.LocalAddr().String()} {
			if reserved[address] {
				t.Errorf("%s was given to somebody else", address)
			}
		}
	}
	for address := range reserved {
		if c, err := net.Dial("tcp", address); err == nil {
			t.Errorf("somebody answers at %s", address)
			_ = c.Close()
		}
		for range 3 {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatalf("a server does not get the port that is reserved for it: %v", err)
			}
			_ = l.Close()
		}
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, host := range []string{"", "localhost", "192.0.2.1"} { // the last is nobody's here
		if address, _, err := port.Reserve(host); err == nil || strings.Contains(address, ":") {
			t.Errorf("%q: reserved %s", host, address)
		}
	}
}
