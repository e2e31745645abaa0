package main

import (
	"context"
	"time"

	"tidegate/measure/reliability/api"
)

// finish ends sending, waits until the listeners have what was answered, and
// finds out what they have not.
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

// judge finds out what listeners were not shown, or not as it was answered.
func (h *honest) judge() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, numbers := range h.numbers {
		shown := map[int]int{}
		for at, n := range numbers {
			shown[n]++
			if at > 0 && n < numbers[at-1] {
				h.server.faults.add("listener %d was shown event %d after event %d", i, n, numbers[at-1])
			}
		}
		for _, n := range h.answered {
			switch shown[n] {
			case 0:
				h.server.faults.add("listener %d was never shown event %d, which was answered", i, n)
			case 1:
			default:
				h.server.faults.add("listener %d was shown event %d %d times", i, n, shown[n])
			}
		}
	}
}

// complete reports whether each listener has the last event that was answered.
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
