package harness

import "tidegate/internal/port"

// Ports holds ports that the system gives to nobody else until Release, whether or
// not a server listens on them. The zero value holds none.
type Ports struct{ release []func() }

// Free returns an address of host with a free port, and reserves it.
func (p *Ports) Free(host string) (address string, err error) {
	address, release, err := port.Reserve(host)
	if err == nil {
		p.release = append(p.release, release)
	}
	return address, err
}

// Release gives all ports back.
func (p *Ports) Release() {
	for _, release := range p.release {
		release()
	}
	p.release = nil
}
