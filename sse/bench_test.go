package sse_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/sse"
)

func payloads() map[string]sse.Event {
	return map[string]sse.Event{
		"128B":         {ID: "1f-19a2b3c4d5e", Name: "task_event", Data: strings.Repeat("x", 128)},
		"1MiB":         {ID: "1f-19a2b3c4d5e", Data: strings.Repeat("x", 1<<20)},
		"1MiB lines":   {Data: strings.Repeat(strings.Repeat("x", 79)+"\n", 1<<20/80)},
		"1MiB LF only": {Data: strings.Repeat("\n", 1<<20)},
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, ev := range payloads() {
		b.Run(name, func(b *testing.B) {
			dst, err := sse.Append(nil, ev)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = sse.Append(dst[:0], ev)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, ev := range payloads() {
		b.Run(name, func(b *testing.B) {
			block, err := sse.Append(nil, ev)
			if err != nil {
				b.Fatal(err)
			}
			stream := bytes.Repeat(block, max(1, 1<<20/len(block)))
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range sse.Decode(bytes.NewReader(stream)) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkWriterSend is one event through net/http, without a network.
func BenchmarkWriterSend(b *testing.B) {
	stream, err := sse.Accept(discard{http.Header{}}, httptest.NewRequest("GET", "/", nil), nil)
	if err != nil {
		b.Fatal(err)
	}
	ev := sse.Event{ID: "41", Name: "progress", Data: strings.Repeat("x", 200)}
	b.ReportAllocs()
	for b.Loop() {
		if err := stream.Send(ev); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a response that goes nowhere.
type discard struct{ header http.Header }

func (d discard) Header() http.Header            { return d.header }
func (discard) WriteHeader(int)                  {}
func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) Flush()                           {}
func (discard) SetWriteDeadline(time.Time) error { return nil }
