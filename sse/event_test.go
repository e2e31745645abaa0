package sse_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"tidegate/sse"
)

func TestAppendWritesOneBlock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ev   sse.Event
		want string
	}{
		{"data alone", sse.Event{Data: "hello"}, "data: hello\n\n"},
		{"empty data is one empty line", sse.Event{}, "data: \n\n"},
		{"name before data", sse.Event{Name: "add", Data: "1"}, "event: add\ndata: 1\n\n"},
		{"id first", sse.Event{ID: "7", Name: "add", Data: "1"}, "id: 7\nevent: add\ndata: 1\n\n"},
		{"retry before data", sse.Event{Name: "n", Data: "1", Retry: 2 * time.Second}, "event: n\nretry: 2000\ndata: 1\n\n"},
		{"retry rounds up", sse.Event{Retry: time.Microsecond}, "retry: 1\ndata: \n\n"},
		{"largest retry", sse.Event{Retry: math.MaxInt64}, "retry: 9223372036855\ndata: \n\n"},
		{"retry below 0 is none", sse.Event{Retry: -1}, "data: \n\n"},
		{"a leading space survives", sse.Event{Data: " x"}, "data:  x\n\n"},
		{"LF ends a line", sse.Event{Data: "a\nb"}, "data: a\ndata: b\n\n"},
		{"only line ends", sse.Event{Data: "\n\n"}, "data: \ndata: \ndata: \n\n"},
		{"line ends at both ends", sse.Event{Data: "\na\n"}, "data: \ndata: a\ndata: \n\n"},
		{"CR at the end", sse.Event{Data: "a\r"}, "data: a\ndata: \n\n"},
		{"CRLF at the end", sse.Event{Data: "a\r\n"}, "data: a\ndata: \n\n"},
		{"CR alone", sse.Event{Data: "\r"}, "data: \ndata: \n\n"},
		{"LF CR is two", sse.Event{Data: "a\n\rb"}, "data: a\ndata: \ndata: b\n\n"},
		{"CR CRLF is two", sse.Event{Data: "a\r\r\nb"}, "data: a\ndata: \ndata: b\n\n"},
		{"all kinds in turn", sse.Event{Data: "a\rb\nc\r\nd\re\nf"}, "data: a\ndata: b\ndata: c\ndata: d\ndata: e\ndata: f\n\n"},
		{"NUL in data is data", sse.Event{Data: "a\x00b"}, "data: a\x00b\n\n"},
		{"a colon in data is data", sse.Event{Data: ": x"}, "data: : x\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sse.Append([]byte("before "), tt.ev)
			if err != nil || string(got) != "before "+tt.want {
				t.Errorf("Append(%+v) = %q, %v, want %q", tt.ev, got, err, "before "+tt.want)
			}
		})
	}
}

func TestGW1EveryLineEndInDataStartsADataLine(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"a\rb":                      "data: a\ndata: b\n\n",
		"a\r\nb":                    "data: a\ndata: b\n\n",
		"x\r\revent: evil\rdata: 1": "data: x\ndata: \ndata: event: evil\ndata: data: 1\n\n",
	} {
		got, err := sse.Append(nil, sse.Event{Data: data})
		if err != nil || string(got) != want {
			t.Errorf("Append(%q) = %q, %v, want %q", data, got, err, want)
		}
		if evs := decodeAll(t, string(got)); len(evs) != 1 || evs[0].Data != normalised(data) {
			t.Errorf("%q was decoded as %+v, want one event with the same lines", data, evs)
		}
	}
}

func TestGW2NamesAndIDsCannotInjectFields(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"\n", "a\nb", "a\r", "\x00", "x\ndata: evil\n\nevent: inj", "x\rdata: evil"} {
		for _, ev := range []sse.Event{{Name: bad, Data: "d"}, {ID: bad, Data: "d"}} {
			got, err := sse.Append([]byte("before"), ev)
			if !errors.Is(err, sse.ErrField) || string(got) != "before" {
				t.Errorf("Append(%+v) = %q, %v, want dst as it was and ErrField", ev, got, err)
			}
		}
		if got, err := sse.AppendID([]byte("before"), bad); !errors.Is(err, sse.ErrField) || string(got) != "before" {
			t.Errorf("AppendID(%q) = %q, %v, want dst as it was and ErrField", bad, got, err)
		}
	}
}

func TestAppendSaysWhichFieldIsBad(t *testing.T) {
	t.Parallel()
	_, err := sse.Append(nil, sse.Event{ID: "\n"})
	if err == nil || !strings.HasPrefix(err.Error(), "id: ") {
		t.Errorf("bad id: error %v, want it to begin with id", err)
	}
	_, err = sse.Append(nil, sse.Event{Name: "\n"})
	if err == nil || !strings.HasPrefix(err.Error(), "event name: ") {
		t.Errorf("bad name: error %v, want it to begin with event name", err)
	}
}

func TestBlocksWithoutAnEvent(t *testing.T) {
	t.Parallel()
	id, err := sse.AppendID([]byte("<"), "42")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"id", string(id), "<id: 42\n\n"},
		{"heartbeat", string(sse.AppendComment([]byte("<"), "heartbeat")), "<: heartbeat\n\n"},
		{"empty comment", string(sse.AppendComment(nil, "")), ": \n\n"},
		{"comment of many lines", string(sse.AppendComment(nil, "a\nb\rc\r\nd")), ": a\n: b\n: c\n: d\n\n"},
		{"retry", string(sse.AppendRetry([]byte("<"), 1500*time.Millisecond)), "<retry: 1500\n\n"},
		{"no retry time", string(sse.AppendRetry(nil, 0)), "retry: 0\n\n"},
		{"retry below 0", string(sse.AppendRetry(nil, -time.Second)), "retry: 0\n\n"},
		{"retry of a moment", string(sse.AppendRetry(nil, 1)), "retry: 1\n\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
		if evs := decodeAll(t, strings.TrimPrefix(tt.got, "<")); len(evs) != 0 {
			t.Errorf("%s: decoded as %+v, want no event", tt.name, evs)
		}
	}
}

// Not parallel: AllocsPerRun counts the allocations of the whole process.
func TestAppendDoesNotAllocate(t *testing.T) {
	events := map[string]sse.Event{
		"small":     {ID: "17", Name: "task_event", Data: `{"a":1}`, Retry: time.Second},
		"lines":     {Data: "a\nb\r\nc\rd\n"},
		"1 MiB":     {ID: "17", Data: strings.Repeat("x", 1<<20)},
		"1 MiB LF":  {ID: "17", Data: strings.Repeat("\n", 1<<20)},
		"all kinds": {Data: strings.Repeat("a\rb\nc\r\n", 1000)},
	}
	for name, ev := range events {
		block, err := sse.Append(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 0, len(block)) // exactly enough
		if n := testing.AllocsPerRun(10, func() { _, _ = sse.Append(dst, ev) }); n != 0 {
			t.Errorf("%s: Append with room made %v allocations, want 0", name, n)
		}
		// Growing once is one allocation, or two under the race detector.
		if n := testing.AllocsPerRun(10, func() { _, _ = sse.Append(nil, ev) }); n > 2 {
			t.Errorf("%s: Append without room made %v allocations, want it to grow once", name, n)
		}
	}
	dst := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(10, func() {
		dst = sse.AppendComment(dst[:0], "heartbeat")
		dst = sse.AppendRetry(dst, time.Second)
		dst, _ = sse.AppendID(dst, "17")
	}); n != 0 {
		t.Errorf("blocks without an event made %v allocations, want 0", n)
	}
}

// normalised returns what a receiver makes of s as data.
func normalised(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return whatwgUTF8([]byte(s))
}

// decodeAll decodes input strictly.
func decodeAll(t *testing.T, input string) []sse.Event {
	t.Helper()
	var evs []sse.Event
	dec := sse.NewDecoder(strings.NewReader(input), sse.DecoderOptions{Strict: true})
	for ev, err := range dec.Events() {
		if err != nil {
			t.Fatalf("decode %q: %v", input, err)
		}
		evs = append(evs, ev)
	}
	return evs
}
