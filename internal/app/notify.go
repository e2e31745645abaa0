package app

import (
	"time"

	"tidegate/internal/socket"
)

func (p *program) notifyReady()    { p.notify(socket.Ready) }
func (p *program) notifyStopping() { p.notify(socket.Stopping) }

// notify reports a state to the service manager, if there is one.
func (p *program) notify(state string) {
	if err := socket.Notify(state); err != nil {
		p.log.Warn("cannot notify the service manager", "state", state, "cause", err)
	}
}

// startingEvery is how often the program asks the service manager for more time to start. Each
// request grants a minute.
const startingEvery = 15 * time.Second

// whileStarting calls start, which can take minutes, and asks the service manager for more time
// meanwhile.
func whileStarting(notify func(state string), start func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- start() }() // ends with start, which the loop waits for
	tick := time.NewTicker(startingEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			notify(socket.Starting)
		}
	}
}
