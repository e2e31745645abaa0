//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errNeedsLinux = errors.New("bench needs Linux")

func cpuOf([]int) (time.Duration, error) { return 0, errNeedsLinux }

func yieldCPU([]int) error { return errNeedsLinux }
