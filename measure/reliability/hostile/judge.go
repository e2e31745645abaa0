package main

import (
	"context"
	"time"

	"tidegate/measure/reliability/api"
)

// finish ends sending, waits until the listeners have all answered events, and judges.
func (h *honest) finish(ctx context.Context) {
	h.stopSending()
	h.sending.Wait()
	for begun := time.Now(); !h.complete() && time.Since(begun) < settle && api.Sleep(ctx, 20*time.Millisecond); {
	}
	h.stop()
	h.listening.Wait()
	h.client.CloseIdleConnections()
	h.judge()
}

// judge reports answered events that a listener missed, or received twice or out of order.
func (h *honest) judge() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, numbers := range h.numbers {
		received := map[int]int{}
		for at, n := range numbers {
			received[n]++
			if at > 0 && n < numbers[at-1] {
				h.server.faults.add("listener %d received event %d after event %d", i, n, numbers[at-1])
			}
		}
		for _, n := range h.answered {
			switch received[n] {
			case 0:
				h.server.faults.add("listener %d never received event %d, which was answered", i, n)
			case 1:
			default:
				h.server.faults.add("listener %d received event %d %d times", i, n, received[n])
			}
		}
	}
}

// complete reports whether each listener has the last answered event.
func (h *honest) complete() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.answered) == 0 {
		return true
	}
	last := h.answered[len(h.answered)-1]
	for _, numbers := range h.numbers {
		if len(numbers) == 0 || numbers[len(numbers)-1] != last {
			return false
		}
	}
	return true
}
