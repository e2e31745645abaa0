//go:build !linux || 386

package main

import (
	"context"
	"errors"
	"time"
)

// 386 has no separate system calls for accept4 and sendto.
var errSystem = errors.New("this mode needs epoll, so it runs on Linux only (not on 386); nethttp runs everywhere")

func runFanout(context.Context, options, func(public, internal string)) error { return errSystem }

func cpuTime() (time.Duration, error) { return 0, errSystem }
