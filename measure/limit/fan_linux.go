//go:build !386

package main

import "sync"

// fan writes to all streams: one goroutine for each part of the registry, each
// walks its streams and writes to one after the other. This is the loop that
// everything else is compared with.
type fan struct {
	streams *registry
	frames  []chan []byte // for each part
}

// maxWaiting is how many frames may wait for a part. Who sends more waits too.
const maxWaiting = 64

func newFan(streams *registry, parts int) *fan {
	f := &fan{streams: streams, frames: make([]chan []byte, parts)}
	for i := range f.frames {
		f.frames[i] = make(chan []byte, maxWaiting)
	}
	return f
}

// run writes until close is called and everything that waits is written.
func (f *fan) run() {
	var wg sync.WaitGroup
	for i, frames := range f.frames {
		wg.Go(func() {
			for frame := range frames {
				for _, s := range f.streams.part(i) {
					s.send(frame)
				}
			}
		})
	}
	wg.Wait()
}

// send has a frame written to all streams. It does not wait until that is done;
// the frame must not be changed any more.
func (f *fan) send(frame []byte) {
	for _, frames := range f.frames {
		frames <- frame
	}
}

// close makes run return. Nothing may be sent any more.
func (f *fan) close() {
	for _, frames := range f.frames {
		close(frames)
	}
}
