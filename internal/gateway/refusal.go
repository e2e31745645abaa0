package gateway

import (
	"fmt"
	"net/http"

	"tidegate/internal/gateway/callback"
	"tidegate/internal/wire"
)

// refusal is what a client is told whose connect callback was not accepted.
func refusal(a callback.Answer) *wire.Error {
	told := fmt.Sprintf("Backend returned %d", a.Status)
	switch {
	case a.Overloaded():
		return errCrowded
	case a.TimedOut():
		return wire.Errorf(http.StatusGatewayTimeout, wire.CodeGatewayTimeout, "Gateway timeout")
	case a.Status == 0:
		return wire.Errorf(http.StatusServiceUnavailable, wire.CodeBackendUnavailable, "Backend unavailable")
	case a.Status == http.StatusUnauthorized:
		return wire.Errorf(a.Status, wire.CodeBackendAuthFailed, told)
	case a.Status == http.StatusForbidden:
		return wire.Errorf(a.Status, wire.CodeBackendForbidden, told)
	case a.Status >= 400 && a.Status <= 599:
		return wire.Errorf(a.Status, wire.CodeBackendError, told)
	default: // 1xx, 3xx, and numbers that are no status
		return wire.Errorf(http.StatusBadGateway, wire.CodeBackendError, told)
	}
}
