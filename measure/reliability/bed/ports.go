package bed

import "tidegate/internal/port"

// Ports are ports that nobody else gets, whether somebody listens on them now or
// not, until Release. The zero value has none.
type Ports struct{ release []func() }

// Free gives an address of host with a port that is free, and keeps it.
func (p *Ports) Free(host string) (address string, err error) {
	address, release, err := port.Reserve(host)
	if err == nil {
		p.release = append(p.release, release)
	}
	return address, err
}

// Release gives them all back.
func (p *Ports) Release() {
	for _, release := range p.release {
		release()
	}
	p.release = nil
}
