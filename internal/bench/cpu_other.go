//go:build !linux

package bench

import (
	"errors"
	"time"
)

func cpuOf([]int) (time.Duration, error) { return 0, errors.New("bench needs Linux") }
