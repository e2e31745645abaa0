package app

import (
	"time"

	"tidegate/internal/socket"
)

func (p *program) notifyReady()    { p.notify(socket.Ready) }
func (p *program) notifyStopping() { p.notify(socket.Stopping) }

// notify tells whoever started the process, if that wants to know.
func (p *program) notify(state string) {
	if err := socket.Notify(state); err != nil {
		p.log.Warn("cannot notify the service manager", "state", state, "cause", err)
	}
}

// startingEvery is how often who started the process is asked for more time. It grants
// a minute each.
const startingEvery = 15 * time.Second

// whileStarting calls start, which may take minutes, and has notify ask for them.
func whileStarting(notify func(state string), start func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- start() }() // waited for below
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
