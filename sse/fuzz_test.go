package sse_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"tidegate/sse"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// outcome is all that can be seen of a decoder that has read a whole stream.
type outcome struct {
	Events   []sse.Event
	Comments []string
	LastID   string
	Retry    time.Duration
	HasRetry bool
	Err      string
}

func decode(r io.Reader, opts sse.DecoderOptions) (o outcome, last error) {
	opts.OnComment = func(s string) { o.Comments = append(o.Comments, s) }
	dec := sse.NewDecoder(r, opts)
	for ev, err := range dec.Events() {
		if err != nil {
			last, o.Err = err, err.Error()
			continue // the sequence must end by itself
		}
		o.Events = append(o.Events, ev)
	}
	o.LastID = dec.LastEventID()
	o.Retry, o.HasRetry = dec.Retry()
	return o, last
}

// FuzzDecode holds the decoder to the standard's text, whatever is sent and however it
// is cut into pieces, and to its limits.
func FuzzDecode(f *testing.F) {
	for i, rule := range rules {
		f.Add([]byte(rule.input), uint(i))
	}
	f.Fuzz(func(t *testing.T, input []byte, split uint) {
		lenient, err := decode(bytes.NewReader(input), sse.DecoderOptions{})
		if err != nil {
			t.Fatalf("lenient: %v", err)
		}
		events, lastID := referenceDecode(input)
		if diff := cmp.Diff(events, lenient.Events); diff != "" || lastID != lenient.LastID {
			t.Fatalf("%q: last id %q, want %q; events (-standard +got):\n%s", input, lenient.LastID, lastID, diff)
		}
		samePieces(t, input, split, sse.DecoderOptions{}, lenient)

		strict, err := decode(bytes.NewReader(input), sse.DecoderOptions{Strict: true})
		samePieces(t, input, split, sse.DecoderOptions{Strict: true}, strict)
		if _, ok := errors.AsType[*sse.SyntaxError](err); err != nil && !ok {
			t.Errorf("strict: %v, want a syntax error", err)
		}
		if err == nil && !cmp.Equal(strict, lenient) {
			t.Errorf("%q: strict and lenient differ:\n%s", input, cmp.Diff(strict, lenient))
		}
		if n := len(strict.Events); n > len(lenient.Events) || !cmp.Equal(strict.Events, lenient.Events[:n], cmpopts.EquateEmpty()) {
			t.Errorf("%q: strict gave %+v, which is not the beginning of %+v", input, strict.Events, lenient.Events)
		}

		small := sse.DecoderOptions{MaxLine: 16, MaxEvent: 20}
		bounded, err := decode(bytes.NewReader(input), small)
		samePieces(t, input, split, small, bounded)
		if err != nil && !errors.Is(err, sse.ErrLineTooLong) && !errors.Is(err, sse.ErrEventTooLarge) {
			t.Errorf("bounded: %v, want one of the limits", err)
		}
		small.OnTooLarge = func(error) {}
		dropped, err := decode(bytes.NewReader(input), small)
		samePieces(t, input, split, small, dropped)
		if err != nil || len(dropped.Events) < len(bounded.Events) {
			t.Errorf("%q: %v, %d events where too large ones are dropped, %d before the first", input, err, len(dropped.Events), len(bounded.Events))
		}
		for _, ev := range slices.Concat(bounded.Events, dropped.Events) {
			if len(ev.Data) > small.MaxEvent || len(ev.Name) > 3*small.MaxLine || len(ev.ID) > 3*small.MaxLine {
				t.Errorf("%q: %+v is beyond the limits", input, ev)
			}
		}
	})
}

// samePieces checks that input in pieces decodes as it did at once.
func samePieces(t *testing.T, input []byte, split uint, opts sse.DecoderOptions, want outcome) {
	t.Helper()
	at := int(split % uint(len(input)+1))
	for name, r := range map[string]io.Reader{
		"byte by byte": iotest.OneByteReader(bytes.NewReader(input)),
		"in two":       io.MultiReader(bytes.NewReader(input[:at]), bytes.NewReader(input[at:])),
		"EOF early":    iotest.DataErrReader(bytes.NewReader(input)),
	} {
		if got, _ := decode(r, opts); !cmp.Equal(want, got) {
			t.Errorf("%q %s (-at once +in pieces):\n%s", input, name, cmp.Diff(want, got))
		}
	}
}

// FuzzRoundTrip checks that what is decoded is what was appended.
func FuzzRoundTrip(f *testing.F) {
	f.Add("1", "add", "73857293", int64(0))
	f.Add("", "", "", int64(time.Second))
	f.Add(" ", " ", " a\r\nb\rc\n\n", int64(1))
	f.Add("…", "message", "\uFEFF\x00\xFF: id: 7", int64(math.MaxInt64))
	f.Add("\xFF\xC8", "0", "a\r", int64(-1))
	f.Add("a\nb", "c\rd", "e\x00", int64(-1))
	f.Fuzz(func(t *testing.T, id, name, data string, retry int64) {
		ev := sse.Event{ID: id, Name: name, Data: data, Retry: time.Duration(retry)}
		block, err := sse.Append(nil, ev)
		if bad := bytes.ContainsAny([]byte(id+name), "\r\n\x00"); bad != (err != nil) {
			t.Fatalf("Append(%+v): %v, want an error only for CR, LF and NUL", ev, err)
		}
		if err != nil {
			return
		}
		want := sse.Event{ID: whatwgUTF8([]byte(id)), Name: whatwgUTF8([]byte(name)), Data: normalised(data)}
		if name == "" {
			want.Name = "message"
		}
		if retry > 0 {
			const longest = math.MaxInt64 / int64(time.Millisecond)
			ms := (retry-1)/int64(time.Millisecond) + 1
			want.Retry = time.Duration(min(ms, longest)) * time.Millisecond
		}
		// Twice, and with all other kinds of blocks between: none disturbs its neighbours.
		stream := sse.AppendComment(bytes.Clone(block), data)
		stream = append(sse.AppendRetry(stream, time.Duration(retry)), block...)
		if stream, err = sse.AppendID(stream, id); err != nil {
			t.Fatal(err)
		}
		got, _ := decode(bytes.NewReader(stream), sse.DecoderOptions{})
		if diff := cmp.Diff([]sse.Event{want, want}, got.Events); diff != "" || got.Err != "" || got.LastID != want.ID {
			t.Errorf("%q: last id %q, error %q, events (-want +got):\n%s", stream, got.LastID, got.Err, diff)
		}
	})
}
