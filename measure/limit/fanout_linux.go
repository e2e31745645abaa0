//go:build !386

package main

import (
	"context"
	"fmt"
	"sync"
)

// runFanout serves streams at the lowest cost that the kernel allows, until ctx ends.
func runFanout(ctx context.Context, o options, ready func(public, internal string)) error {
	publicFD, publicAddress, err := listen(o.public)
	if err != nil {
		return fmt.Errorf("--public: %w", err)
	}
	defer closeSocket(publicFD)
	internalFD, internalAddress, err := listen(o.internal)
	if err != nil {
		return fmt.Errorf("--internal: %w", err)
	}
	defer closeSocket(internalFD)
	c := newCaller(o.callbackURL, maxCallbacks)
	defer c.close()
	streams := newRegistry(o.threads)
	f := newFan(streams, o.threads)
	pub, err := newPublic(publicFD, streams, c)
	if err != nil {
		return err
	}
	defer pub.close()
	in, err := newInternal(internalFD, o.threads, streams, f)
	if err != nil {
		return err
	}
	defer in.close()
	ready(publicAddress, internalAddress)
	return serve(ctx, pub, in, f)
}

// serve runs all parts until ctx ends or one of them fails, and waits for them.
func serve(ctx context.Context, pub *public, in *internal, f *fan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broken := make(chan error, 1+len(in.posters))
	var loops, writers sync.WaitGroup
	start := func(run func() error) {
		loops.Go(func() {
			if err := run(); err != nil {
				broken <- err
				cancel(err)
			}
		})
	}
	writers.Go(f.run)
	start(func() error { return pub.run(ctx) })
	for _, p := range in.posters {
		start(func() error { return p.loop.run(p.handle) })
	}
	<-ctx.Done()
	pub.loop.stop()
	for _, p := range in.posters {
		p.loop.stop()
	}
	loops.Wait() // before close: a loop may still send to the fan
	f.close()
	writers.Wait()
	select {
	case err := <-broken:
		return err
	default:
		return nil
	}
}
