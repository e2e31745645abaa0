//go:build !linux

package bench

import "errors"

// newEpollPool needs epoll, as figures need /proc. The rest of the package is built
// everywhere, so that the program is.
func newEpollPool() (pool, error) { return nil, errors.New("bench needs Linux") }
