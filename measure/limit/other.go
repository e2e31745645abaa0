//go:build !linux || 386

package main

import (
	"context"
	"errors"
	"time"
)

// 386 has no system calls of its own for accept4 and sendto.
var errSystem = errors.New("this needs Linux (not on 386): the limit is shown with epoll; of the modes, nethttp runs everywhere")

func runFanout(context.Context, options, func(public, internal string)) error { return errSystem }

func cpuTime() (time.Duration, error) { return 0, errSystem }
