package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"tidegate/internal/wire"
)

// refusal is what a client is told whose connect callback was not accepted.
func refusal(a answer) *wire.Error {
	told := fmt.Sprintf("Backend returned %d", a.status)
	switch {
	case errors.Is(a.err, errCrowd):
		return errCrowded
	case a.status == 0 && isTimeout(a.err):
		return wire.Errorf(http.StatusGatewayTimeout, wire.CodeGatewayTimeout, "Gateway timeout")
	case a.status == 0:
		return wire.Errorf(http.StatusServiceUnavailable, wire.CodeBackendUnavailable, "Backend unavailable")
	case a.status == http.StatusUnauthorized:
		return wire.Errorf(a.status, wire.CodeBackendAuthFailed, told)
	case a.status == http.StatusForbidden:
		return wire.Errorf(a.status, wire.CodeBackendForbidden, told)
	case a.status >= 400 && a.status <= 599:
		return wire.Errorf(a.status, wire.CodeBackendError, told)
	default: // 1xx, 3xx, and numbers that are no status
		return wire.Errorf(http.StatusBadGateway, wire.CodeBackendError, told)
	}
}

func isTimeout(err error) bool {
	if errors.Is(err, errNoSlot) || errors.Is(err, errNoAnswer) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() && !isDial(err)
}

// isDial tells a backend that cannot be reached from one that does not answer.
func isDial(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}
