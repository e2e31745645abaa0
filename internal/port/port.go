// Package port reserves ports for servers that are started later, or by others:
// for tests and for the programs that try and judge this one.
package port

import "strconv"

// Reserve gives an address of host, an IPv4 address, with a port that nobody
// listens on, and keeps it until release. Meanwhile nobody is given it who asks
// for any port or connects to somewhere; a server that asks for this one gets it,
// as often as it likes, if it sets SO_REUSEADDR as servers do. Who connects while no
// server listens is refused.
//
// Where the system cannot keep a port so, which is all but Linux, it is only free at
// this moment.
func Reserve(host string) (address string, release func(), err error) {
	number, release, err := reserve(host)
	if err != nil {
		return "", nil, err
	}
	return host + ":" + strconv.Itoa(number), release, nil
}
