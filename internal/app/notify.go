package app

import "tidegate/internal/socket"

func (p *program) notifyReady()    { p.notify(socket.Ready) }
func (p *program) notifyStopping() { p.notify(socket.Stopping) }

// notify tells whoever started the process, if that wants to know.
func (p *program) notify(state string) {
	if err := socket.Notify(state); err != nil {
		p.log.Warn("cannot notify the service manager", "state", state, "cause", err)
	}
}
