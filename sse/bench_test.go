package sse_test

import (
	"bytes"
	"strings"
	"testing"

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
