package app

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// drainPatience is the time that streams get after the last one has been asked to end, to take
	// what is queued for them.
	drainPatience = 5 * time.Second
	// closePatience is the time that requests in flight get at the very end.
	closePatience = 5 * time.Second
	// reportEvery is the pause between two log lines about what a stop waits for.
	reportEvery = 5 * time.Second
)

// stop ends the parts in order. The gateway ends before the backend, which receives its last
// callbacks; storage ends last, because everybody writes to it.
func (r *running) stop() error {
	r.notifyStopping()
	r.drain()
	var errs [4]error
	r.waitFor("disconnect callbacks", r.disconnectsLeft, func() { errs[0] = r.gatewayLife.stop() })
	r.waitFor("the last events of tasks", r.tasksLeft, func() { errs[1] = r.backendLife.stop() })
	_ = r.upkeepLife.stop() // its jobs return no error
	r.waitFor("requests", nil, r.closeServers)
	errs[2] = r.serverLife.stop()
	errs[3] = r.storageLife.stop()
	r.storage.close(r.log)
	err := errors.Join(errs[:]...)
	if err == nil {
		r.log.Info("stopped")
	}
	return err
}

// drain ends the work of clients: the process is not ready any more, tasks get --grace, nobody new
// is accepted, and streams end over --drain-time.
func (p *program) drain() {
	if p.gateway != nil {
		p.gateway.StopReady()
	}
	if p.backend != nil {
		grace, cancel := context.WithTimeout(context.Background(), p.cfg.Grace)
		p.waitFor("tasks", p.tasksLeft, func() { p.backend.Drain(grace) })
		cancel()
	}
	if p.gateway == nil {
		return
	}
	patience, cancel := context.WithTimeout(context.Background(), p.cfg.DrainTime+drainPatience)
	defer cancel()
	// EventSource comes back after a refused connection, and not after an error status. So the
	// listener closes first.
	closed := p.public.closing(patience)
	p.waitFor("streams", p.streamsLeft, func() {
		p.gateway.Drain(patience, p.cfg.DrainTime)
		closed()
	})
}

func (p *program) closeServers() {
	patience, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, s := range p.servers() {
		s.close(patience)
	}
}

// waitFor calls wait, and logs what the stop waits for: at once if left counts anything, and then
// every reportEvery. left may be nil.
func (p *program) waitFor(what string, left func() (n int, counts []any), wait func()) {
	report := func(always bool) {
		var counts []any
		n := 0
		if left != nil {
			n, counts = left()
		}
		if n > 0 || always {
			p.log.Info("stopping: waiting for "+what, append(counts, "hint", "a second signal stops at once")...)
		}
	}
	report(false)
	done := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				report(true)
			case <-done:
				return
			}
		}
	})
	wait()
	close(done)
	reporting.Wait()
}

func (p *program) tasksLeft() (int, []any) {
	if p.backend == nil {
		return 0, nil
	}
	running, pending := p.backend.TasksLeft()
	return running + pending, []any{"running", running, "pending", pending, "grace", p.cfg.Grace}
}

func (p *program) streamsLeft() (int, []any) {
	// The gateway logs their number when it ends them.
	return 0, []any{"streams", p.gateway.Streaming()}
}

func (p *program) disconnectsLeft() (int, []any) {
	if p.gateway == nil {
		return 0, nil
	}
	n := p.gateway.Undelivered()
	return n, []any{"count", n}
}
