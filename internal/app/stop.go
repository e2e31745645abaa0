package app

import (
	"sync"
	"time"
)

// sayEvery is the pause between two lines about what a stop waits for.
const sayEvery = 5 * time.Second

// waitFor calls wait, and says what the stop waits for: at once if left, which
// may be nil, counts anything, and every some seconds for as long as it takes.
func (p *program) waitFor(what string, left func() (n int, counts []any), wait func()) {
	say := func(always bool) {
		var counts []any
		n := 0
		if left != nil {
			n, counts = left()
		}
		if n > 0 || always {
			p.log.Info("stopping: waiting for "+what, append(counts, "hint", "a second signal stops at once")...)
		}
	}
	say(false)
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(sayEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				say(true)
			case <-done:
				return
			}
		}
	})
	wait()
	close(done)
	telling.Wait()
}

func (p *program) tasksLeft() (int, []any) {
	if p.backend == nil {
		return 0, nil
	}
	running, pending := p.backend.TasksLeft()
	return running + pending, []any{"running", running, "pending", pending, "grace", p.cfg.Grace}
}

func (p *program) streamsLeft() (int, []any) {
	// How many there are is said where they are ended.
	return 0, []any{"streams", p.gateway.Streaming()}
}

func (p *program) disconnectsLeft() (int, []any) {
	if p.gateway == nil {
		return 0, nil
	}
	n := p.gateway.Undelivered()
	return n, []any{"count", n}
}
