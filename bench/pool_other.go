//go:build !linux

package main

import (
	"errors"
	"time"
)

// pool needs epoll. The rest of the program is built everywhere, so that the
// module is.
type pool struct{}

func newPool() (*pool, error) { return nil, errors.New("bench needs Linux") }

func (*pool) close()                             {}
func (*pool) watch(int) error                    { return nil }
func (*pool) poll(time.Duration) (bool, error)   { return false, nil }
func (*pool) open(command) error                 { return nil }
func (*pool) opened() (int, bool, time.Duration) { return 0, false, 0 }
func (*pool) received() (int64, int64)           { return 0, 0 }
func (*pool) forget()                            {}
func (*pool) closeAll()                          {}
func (*pool) report([]int64) reply               { return reply{} }
