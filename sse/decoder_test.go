package sse_test

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"tidegate/sse"
)

// script is a reader that returns one part for each call of Read.
type script struct {
	parts []string
	reads int
}

func (s *script) Read(p []byte) (int, error) {
	s.reads++
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.parts[0])
	if s.parts[0] = s.parts[0][n:]; s.parts[0] == "" {
		s.parts = s.parts[1:]
	}
	return n, nil
}

// endless repeats a pattern for ever and counts what was taken.
type endless struct {
	pattern string
	taken   int
	room    int // the most that was asked for at once
}

func (e *endless) Read(p []byte) (int, error) {
	e.room = max(e.room, len(p))
	for i := range p {
		p[i] = e.pattern[e.taken%len(e.pattern)]
		e.taken++
	}
	return len(p), nil
}

func TestAnEventIsYieldedAsSoonAsItsBlankLineIsRead(t *testing.T) {
	t.Parallel()
	for _, first := range []string{
		"data: a\n\n",
		"data: a\r\r",
		"data: a\r\n\r\n",
		"data: a\r\n\r", // the LF of the CRLF may never come
		"data: a\n\r",
	} {
		src := &script{parts: []string{first, "\n", "data: b\n\n"}}
		dec := sse.NewDecoder(src, sse.DecoderOptions{})
		for ev, err := range dec.Events() {
			if err != nil || ev.Data != "a" {
				t.Errorf("after %q: event %+v, %v, want data a", first, ev, err)
			}
			break
		}
		if src.reads != 1 {
			t.Errorf("after %q the decoder read %d times before it yielded, want once", first, src.reads)
		}
		for ev, err := range dec.Events() {
			if err != nil || ev.Data != "b" {
				t.Errorf("after %q and LF: event %+v, %v, want data b", first, ev, err)
			}
		}
	}
}

func TestRangingAgainGoesOnWithTheNextEvent(t *testing.T) {
	t.Parallel()
	dec := sse.NewDecoder(strings.NewReader("id: 1\ndata: a\n\ndata: b\n\ndata: c\n\n"), sse.DecoderOptions{})
	var got []string
	for range 5 { // twice more than there are events
		for ev, err := range dec.Events() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev.ID+ev.Data)
			break
		}
	}
	if strings.Join(got, " ") != "1a 1b 1c" {
		t.Errorf("events %q, want 1a 1b 1c", got)
	}
}

func TestTheIDToBeginWithStaysUntilAnotherIsSent(t *testing.T) {
	t.Parallel()
	dec := sse.NewDecoder(strings.NewReader("data: a\n\nid: 8\ndata: b\n\n"), sse.DecoderOptions{LastEventID: "7"})
	if got := dec.LastEventID(); got != "7" {
		t.Errorf("LastEventID() = %q before the first event, want 7", got)
	}
	var ids []string
	for ev := range dec.Events() {
		ids = append(ids, ev.ID)
	}
	if strings.Join(ids, " ") != "7 8" || dec.LastEventID() != "8" {
		t.Errorf("ids %q and then %q, want 7, 8 and then 8", ids, dec.LastEventID())
	}
}

func TestAReadErrorComesAfterTheEventsBeforeIt(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	input := io.MultiReader(strings.NewReader("data: a\n\ndata: b\n\ndata: c"), iotest.ErrReader(cut))
	dec := sse.NewDecoder(iotest.DataErrReader(input), sse.DecoderOptions{Strict: true})
	for _, want := range []string{"a b ", ""} { // an error stays
		var got []string
		var last error
		for ev, err := range dec.Events() {
			got, last = append(got, ev.Data), err
		}
		if !errors.Is(last, cut) || strings.Join(got, " ") != want {
			t.Errorf("events %q ended with %v, want %q and a zero event with the reader's error", got, last, want)
		}
	}
}

func TestAReaderThatReturnsNothingIsNotReadForEver(t *testing.T) {
	t.Parallel()
	for _, err := range sse.Decode(iotest.ErrReader(nil)) {
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("error %v, want %v", err, io.ErrNoProgress)
		}
	}
}

func TestAnEndlessLineIsRefused(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 100, 10_000, 100_000} {
		src := &endless{pattern: "x"}
		err := drain(sse.NewDecoder(src, sse.DecoderOptions{MaxLine: limit}).Events())
		if !errors.Is(err, sse.ErrLineTooLong) {
			t.Errorf("MaxLine %d: error %v, want ErrLineTooLong", limit, err)
		}
		if most := max(4096, 2*limit); src.taken > most {
			t.Errorf("MaxLine %d: read %d bytes, want %d at most", limit, src.taken, most)
		}
	}
}

func TestAnEndlessEventIsRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"data: x\n", "data\r"} {
		src := &endless{pattern: line}
		err := drain(sse.NewDecoder(src, sse.DecoderOptions{MaxEvent: 1000}).Events())
		if !errors.Is(err, sse.ErrEventTooLarge) {
			t.Errorf("%q again and again: error %v, want ErrEventTooLarge", line, err)
		}
		if most := 1001*len(line) + 4096; src.taken > most {
			t.Errorf("%q again and again: read %d bytes, want %d at most", line, src.taken, most)
		}
	}
}

func TestALongStreamNeedsNoMoreMemory(t *testing.T) {
	t.Parallel()
	src := &endless{pattern: "id: 12345\ndata: 1234567\n\n"}
	n := 0
	for _, err := range sse.Decode(src) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10_000 {
			break
		}
	}
	if src.room > 4096 {
		t.Errorf("the buffer grew to %d bytes for lines of 13, want 4096", src.room)
	}
}

func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input string
		want        error
	}{
		{"line of MaxLine", "data: 7890\n\n", nil},
		{"line of MaxLine with CRLF", "data: 7890\r\n\r\n", nil},
		{"longer line", "data: 78901\n\n", sse.ErrLineTooLong},
		{"longer comment", ":234567890-\n\n", sse.ErrLineTooLong},
		{"longer line without an end", "data: 78901", sse.ErrLineTooLong},
		{"data of MaxEvent", "data: 123\ndata: 56\n\n", nil},
		{"more data", "data: 123\ndata: 567\n\n", sse.ErrEventTooLarge},
		{"the limit is for each event", "data: 1234\ndata: 6\n\ndata: 1234\ndata: 6\n\n", nil},
		{"U+FFFD counts as it is stored", "data: \xFF\xFF\n\n", nil},
		{"more than MaxEvent by U+FFFD", "data: \xFF\xFF\xFF\n\n", sse.ErrEventTooLarge},
	} {
		for reading, r := range readings(tt.input) {
			err := drain(sse.NewDecoder(r, sse.DecoderOptions{MaxLine: 10, MaxEvent: 6}).Events())
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: error %v, want %v", tt.name, reading, err, tt.want)
			}
		}
	}
}

func TestLimitErrorsNameTheLimit(t *testing.T) {
	t.Parallel()
	err := drain(sse.NewDecoder(strings.NewReader("data: 1\n\n"), sse.DecoderOptions{MaxLine: 3}).Events())
	if err == nil || !strings.Contains(err.Error(), "MaxLine of 3 bytes") {
		t.Errorf("error %v, want it to name MaxLine and 3 bytes", err)
	}
}

func TestTheDefaultsHoldABodyOfOneMebibyte(t *testing.T) {
	t.Parallel()
	for _, data := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\n", 1<<20), strings.Repeat("\"\\\n", 1<<18)} {
		block, err := sse.Append(nil, sse.Event{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		for ev, err := range sse.Decode(bytes.NewReader(block)) {
			if err != nil || ev.Data != data {
				t.Errorf("data of %d bytes came back with %d bytes and error %v", len(data), len(ev.Data), err)
			}
		}
	}
}

func TestStrictRefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, input string
		line        int // 0: well formed
	}{
		{"all that is allowed", "\uFEFF: c\nid: 1\nevent: x\nretry: 5\ndata: a\ndata\n\nid\n\n:\r\n\r\n", 0},
		{"nothing", "", 0},
		{"unknown field", "data: a\n\nfoo: b\n\n", 3},
		{"field name with another case", "Data: a\n\n", 1},
		{"byte order mark in the middle", "data: a\n\n\uFEFFdata: b\n\n", 3},
		{"retry that is not a number", "data: a\nretry: 1s\n\n", 2},
		{"empty retry", "retry\n\n", 1},
		{"id with NUL", "id: \x00\n\n", 1},
		{"invalid UTF-8 in data", "data: \xFF\n\n", 1},
		{"invalid UTF-8 in a comment", "\n: \xE2\x82\n\n", 2},
		{"unfinished event", "data: a\n", 2},
		{"unfinished line", "data: a\n\ndata: b", 3},
		{"comment without a blank line", ": a\n", 2},
	} {
		for reading, r := range readings(tt.input) {
			err := drain(sse.NewDecoder(r, sse.DecoderOptions{Strict: true}).Events())
			syntax, ok := errors.AsType[*sse.SyntaxError](err)
			if ok != (tt.line > 0) || ok && syntax.Line != tt.line {
				t.Errorf("%s, %s: error %v, want a syntax error in line %d (0 is none)", tt.name, reading, err, tt.line)
			}
		}
	}
}

func TestSyntaxErrorSaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	err := drain(sse.NewDecoder(strings.NewReader("\nfoo: b\n\n"), sse.DecoderOptions{Strict: true}).Events())
	if want := "sse: line 2: unknown field"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// drain returns the error that ends the sequence.
func drain(events iter.Seq2[sse.Event, error]) (last error) {
	for _, err := range events {
		last = err
	}
	return last
}
