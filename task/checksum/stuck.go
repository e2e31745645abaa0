package checksum

import (
	"context"
	"errors"
	"time"
)

const (
	// stuckAfter is how long a call may go on once its context has ended.
	stuckAfter = time.Second
	// maxStuck is how many calls may be left behind at once: each is a thread.
	maxStuck = 8
)

// errStuck is of a disk that does not answer.
var errStuck = errors.New("the disk does not answer; try again later")

// outcome is what a call returned, or panicked with.
type outcome struct {
	result   any
	err      error
	panicked any
}

// apart calls f in a goroutine of its own, because a system call for a file may
// never return: a network file system whose server is away. Then f is left behind
// after its context has ended, so that it holds up neither a cancel nor the end
// of the process. Beyond a few such calls nothing is begun any more.
func (c *checker) apart(ctx context.Context, f func() (any, error)) (any, error) {
	if c.stuck.Load() >= maxStuck {
		return nil, errStuck
	}
	done := make(chan outcome, 1) // its reader may have left
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.result, o.err = f()
	}()
	select {
	case o := <-done:
		return o.unwrap()
	case <-ctx.Done():
	}
	patience := time.NewTimer(stuckAfter)
	defer patience.Stop()
	select {
	case o := <-done:
		return o.unwrap()
	case <-patience.C:
	}
	c.stuck.Add(1)
	go func() { // ends when f returns
		<-done
		c.stuck.Add(-1)
	}()
	return nil, context.Cause(ctx)
}

func (o outcome) unwrap() (any, error) {
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.result, o.err
}
