//go:build !386

package main

import "sync"

// fan writes to all streams. It has one goroutine for each part of the registry, which
// writes to the streams of that part one after another. This loop is the limit that
// other figures are compared with.
type fan struct {
	streams *registry
	frames  []chan []byte // for each part
}

// maxWaiting bounds the frames that wait for a part. A sender of more waits.
const maxWaiting = 64

func newFan(streams *registry, parts int) *fan {
	f := &fan{streams: streams, frames: make([]chan []byte, parts)}
	for i := range f.frames {
		f.frames[i] = make(chan []byte, maxWaiting)
	}
	return f
}

// run writes until close is called and all waiting frames are written.
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

// send queues a frame for all streams. The caller must not change the frame any more.
func (f *fan) send(frame []byte) {
	for _, frames := range f.frames {
		frames <- frame
	}
}

// close makes run return. The caller must not call send any more.
func (f *fan) close() {
	for _, frames := range f.frames {
		close(frames)
	}
}
