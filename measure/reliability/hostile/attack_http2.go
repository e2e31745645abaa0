package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"tidegate/measure/reliability/harness"
)

const streamsOfConnection = 20 // HTTP/2 streams

var idleHTTP2 = attack{
	name: "idle-http2", what: "HTTP/2 connections with 20 requests each, half of them with a body that never comes; nobody reads",
	mode: harness.Gateway, clients: 100, again: time.Second,
	act: func(ctx context.Context, s *server, i int) {
		frames := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		frames = frame(frames, 4, 0, 0, nil) // SETTINGS
		for n := range uint32(streamsOfConnection) {
			const endStream, endHeaders = 1, 4
			flags, method := byte(endHeaders|endStream), byte(0x82) // GET
			if n%2 == 1 {
				flags, method = endHeaders, 0x83 // POST
			}
			block := []byte{method, 0x86}                                            // http
			block = literal(block, 4, fmt.Sprintf("/x?topic=load:idle-%d-%d", i, n)) // :path
			block = literal(block, 1, s.public)                                      // :authority
			frames = frame(frames, 1, flags, 2*n+1, block)
		}
		conn, err := s.dial(ctx)
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Write(frames); err != nil {
			return
		}
		// Read slowly, only to notice the end. Answer no frame.
		buffer := make([]byte, 256)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := conn.Read(buffer); err != nil {
				if ctx.Err() == nil && err != io.EOF {
					s.tally.add("disconnected")
				}
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	},
}

// frame appends an HTTP/2 frame.
func frame(to []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	to = append(to, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(to, stream), payload...)
}

// literal appends a header field without indexing, with a name from the static table.
// The value must be shorter than 127 bytes.
func literal(to []byte, name byte, value string) []byte {
	return append(append(to, name, byte(len(value))), value...)
}
