package gateway

import (
	"testing"
	"time"
)

// TestX35TheAgeOfAStreamIsNotOfTheClock: when the clock of the machine is set, the
// duration in a callback stays right.
func TestX35TheAgeOfAStreamIsNotOfTheClock(t *testing.T) {
	t.Parallel()
	c := &conn{openedIn: uptime()}
	if age := c.age(); age < 0 || age > time.Minute {
		t.Errorf("age %s of a stream that has just come", age)
	}
	if since := time.Since(c.openedAt()); since < 0 || since > time.Minute {
		t.Errorf("opened %s ago, has just come", since)
	}
}
