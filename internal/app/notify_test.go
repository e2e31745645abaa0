package app

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/socket"
)

// TestAStartThatTakesLongAsksForTime: a log that is taken over may take longer than
// systemd waits.
func TestAStartThatTakesLongAsksForTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var states []string
		broken := errors.New("broken")
		err := whileStarting(func(state string) { states = append(states, state) }, func() error {
			time.Sleep(40 * time.Second)
			return broken
		})
		if err != broken || !slices.Equal(states, []string{socket.Starting, socket.Starting}) {
			t.Errorf("%v, notified %q", err, states)
		}
	})
}
