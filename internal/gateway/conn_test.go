package gateway

import (
	"testing"
	"time"
)

// TestX35TheAgeOfAStreamIsNotOfTheClock: when the clock of the machine is set, the
// duration that a backend is told stays right.
func TestX35TheAgeOfAStreamIsNotOfTheClock(t *testing.T) {
	t.Parallel()
	for _, set := range []time.Duration{-time.Hour, 0, time.Hour} {
		c := &conn{openedAt: time.Now().Add(-set).UnixNano(), openedIn: uptime()}
		if age := c.age(); age < 0 || age > time.Minute {
			t.Errorf("clock set by %s: age %s", set, age)
		}
	}
}
