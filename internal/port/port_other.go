//go:build !linux

package port

import "net"

func reserve(host string) (number int, release func(), err error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return 0, nil, err
	}
	number = l.Addr().(*net.TCPAddr).Port
	return number, func() {}, l.Close()
}
