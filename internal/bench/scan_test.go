package bench

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chunked frames each piece as a chunk.
func chunked(pieces ...string) string {
	var b strings.Builder
	for _, p := range pieces {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String()
}

func TestScannerFindsEvents(t *testing.T) {
	t.Parallel()
	one, two := mark{seq: 1, to: everyone, at: 5}, mark{seq: 2, to: 17, at: 1764000000000000000}
	for _, tt := range []struct {
		name    string
		chunked bool
		body    string
		want    []mark
		alien   int64
	}{
		{"plain", false, "data: 1 -1 5 ...\n\n", []mark{one}, 0},
		{"whole block", false, "id: a\nevent: bench\ndata: 1 -1 5 ...\n\nid: b\nevent: bench\ndata: 2 17 1764000000000000000 .\n\n", []mark{one, two}, 0},
		{"no blank behind the colon", false, "data:1 -1 5 ...\n\n", []mark{one}, 0},
		{"CRLF", false, "data: 1 -1 5 ...\r\n\r\n", []mark{one}, 0},
		{"no events", false, ": heartbeat\n\nretry: 5\n\nid: x\n\n", nil, 0},
		{"not complete", false, "data: 1 -1 5 ...", nil, 0},
		{"not ours", false, "event: reset\ndata: {\"reason\":\"history_lost\"}\n\ndata: 1 -1 5 .\n\n", []mark{one}, 1},
		{"number too few", false, "data: 1 -1\n\n", nil, 1},
		{"chunk each", true, chunked("data: 1 -1 5 .\n\n", "data: 2 17 1764000000000000000 .\n\n"), []mark{one, two}, 0},
		{"chunk for both", true, chunked("data: 1 -1 5 .\n\ndata: 2 17 1764000000000000000 .\n\n"), []mark{one, two}, 0},
		{"event in three chunks", true, chunked("da", "ta: 1 -", "1 5 .\n\n"), []mark{one}, 0},
		{"chunk extension", true, "10;name=value\r\ndata: 1 -1 5 .\n\n\r\n", []mark{one}, 0},
		{"upper-case size", true, "1A\r\ndata: 1 -1 5 ...........\n\n\r\n", []mark{one}, 0},
		{"end", true, chunked("data: 1 -1 5 .\n\n") + "0\r\n\r\n", []mark{one}, 0},
	} {
		// Whatever piece it comes in, the same is found.
		for size := 1; size <= len(tt.body); size++ {
			s := scanner{chunked: tt.chunked}
			var got []mark
			var err error
			for rest := tt.body; rest != "" && err == nil; {
				n := min(size, len(rest))
				got, err = s.scan(got, []byte(rest[:n]))
				rest = rest[n:]
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(mark{})); diff != "" || err != nil || s.alien != tt.alien {
				t.Fatalf("%s, %d bytes at a time: %d alien, want %d; error %v; marks (-want +got):\n%s", tt.name, size, s.alien, tt.alien, err, diff)
			}
		}
	}
}

func TestScannerRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		chunked bool
		body    string
		want    error
	}{
		{"body without chunks", true, "data: 1 -1 5 .\n\n", errChunk},
		{"no size", true, "\r\n", errChunk},
		{"size too large", true, "123456789\r\n", errChunk},
		{"chunk longer than it says", true, "2\r\nabc\r\n", errChunk},
		{"endless line", false, strings.Repeat("x", maxLine+1), errLine},
	} {
		s := scanner{chunked: tt.chunked}
		if _, err := s.scan(nil, []byte(tt.body)); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestScannerCountsHeartbeats(t *testing.T) {
	t.Parallel()
	s := scanner{chunked: true}
	body := chunked(": heart", "beat\n\n", "data: 1 -1 5 .\n\n:\n\n")
	if marks, err := s.scan(nil, []byte(body)); err != nil || len(marks) != 1 || s.beats != 2 {
		t.Errorf("%d marks, %d comments, error %v; want 1, 2", len(marks), s.beats, err)
	}
}

func TestScannerSeesTheEnd(t *testing.T) {
	t.Parallel()
	s := scanner{chunked: true}
	if _, err := s.scan(nil, []byte(chunked("\n")+"0\r\n\r\n")); err != nil || s.state != atEnd {
		t.Errorf("state %v, error %v; want the end", s.state, err)
	}
}

// FuzzScanner holds two things: nothing makes it panic, and where the body is
// cut does not matter.
func FuzzScanner(f *testing.F) {
	f.Add("data: 1 -1 5 .\n\n", false, 3)
	f.Add(chunked("data: 1 -1 5 .\n\n", "data: 2 1 7 .\n\n")+"0\r\n\r\n", true, 20)
	f.Add("a\r\nb", true, 1)
	f.Add("data:\ndata: \n", false, 6)
	f.Fuzz(func(t *testing.T, body string, isChunked bool, cut int) {
		cut = min(max(0, cut), len(body))
		whole, parts := scanner{chunked: isChunked}, scanner{chunked: isChunked}
		want, wantErr := whole.scan(nil, []byte(body))
		got, err := parts.scan(nil, []byte(body[:cut]))
		if err == nil {
			got, err = parts.scan(got, []byte(body[cut:]))
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("cut at %d: error %v, in one piece %v", cut, err, wantErr)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(mark{})); diff != "" && err == nil {
			t.Errorf("cut at %d (-one piece +two):\n%s", cut, diff)
		}
	})
}
