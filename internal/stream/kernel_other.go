//go:build !linux

package stream

import (
	"errors"
	"syscall"
)

func newKernel() (kernel, error) { return nil, errors.ErrUnsupported }

func duplicate(syscall.RawConn, Options) (int32, error) { return -1, errors.ErrUnsupported }
