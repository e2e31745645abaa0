package sse_test

import (
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tidegate/sse"

	"github.com/google/go-cmp/cmp"
)

func msg(id, data string) sse.Event { return sse.Event{ID: id, Name: "message", Data: data} }

func msgs(data ...string) (evs []sse.Event) {
	for _, d := range data {
		evs = append(evs, msg("", d))
	}
	return evs
}

// rules has a row for each rule of WHATWG HTML 9.2.5 and 9.2.6.
var rules = []struct {
	name     string
	input    string
	want     []sse.Event
	lastID   string
	comments []string
	retry    string // as time.Duration prints it, "" if none was sent
}{
	{name: "nothing", input: ""},

	// Line ends.
	{name: "LF ends a line", input: "data: a\ndata: b\n\n", want: msgs("a\nb")},
	{name: "CR ends a line", input: "data: a\rdata: b\r\r", want: msgs("a\nb")},
	{name: "CRLF ends one line", input: "data: a\r\ndata: b\r\n\r\n", want: msgs("a\nb")},
	{name: "line ends can be mixed", input: "data: a\rdata: b\ndata: c\r\n\rdata: d\n\r\ndata: e\r\r\n", want: msgs("a\nb\nc", "d", "e")},
	{name: "LF CR is two line ends", input: "data: a\n\rdata: b\n\n", want: msgs("a", "b")},
	{name: "CR CRLF is two line ends", input: "data: a\r\r\ndata: b\n\n", want: msgs("a", "b")},
	{name: "only LF and CR are line ends", input: "data: a\vb\fc\u0085d\u2028e\u2029f\n\n", want: msgs("a\vb\fc\u0085d\u2028e\u2029f")},
	{name: "blank lines alone", input: "\n\r\r\n\n"},

	// Decoding.
	{name: "a byte order mark at the start is dropped", input: "\uFEFFdata: a\n\n", want: msgs("a")},
	{name: "one byte order mark only", input: "\uFEFF\uFEFFdata: a\n\ndata: b\n\n", want: msgs("b")},
	{name: "a byte order mark elsewhere is text", input: "data: a\n\n\uFEFFdata: b\n\ndata: \uFEFFc\n\n", want: msgs("a", "\uFEFFc")},
	{name: "a byte order mark before a blank line", input: "\uFEFF\ndata: a\n\n", want: msgs("a")},
	{name: "a byte order mark before a comment", input: "\uFEFF:c\n", comments: []string{"c"}},
	{name: "half a byte order mark is not one", input: "\xEF\xBBdata: a\n\ndata: b\n\n", want: msgs("b")},
	{name: "UTF-8", input: "data: ok…é😀\n\n", want: msgs("ok…é😀")},
	{name: "a stray byte becomes one U+FFFD", input: "data: a\xFFb\x80\x80c\n\n", want: msgs("a\uFFFDb\uFFFD\uFFFDc")},
	{name: "a broken sequence becomes one U+FFFD", input: "data: \xE2\x82|\xF0\x9F\x98|\xC3\n\n", want: msgs("\uFFFD|\uFFFD|\uFFFD")},
	{name: "how a sequence may go on depends on its lead byte", input: "data: \xE0\xA0|\xED\x9F|\xF0\x90\x80|\xF4\x8F\xBF\n\n",
		want: msgs("\uFFFD|\uFFFD|\uFFFD|\uFFFD")},
	{name: "overlong forms and surrogates are broken byte by byte", input: "data: \xC0\xAF|\xE0\x80\xAF|\xED\xA0\x80|\xF4\x90\x80\x80\n\n",
		want: msgs("\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD\uFFFD")},
	{name: "names, ids and comments are decoded too", input: ":\xFF\nevent: \xFF\nid: \xFF\ndata\n\n",
		want: []sse.Event{{ID: "\uFFFD", Name: "\uFFFD"}}, lastID: "\uFFFD", comments: []string{"\uFFFD"}},
	{name: "a broken sequence does not swallow the line end", input: "data: \xE2\ndata: b\n\n", want: msgs("\uFFFD\nb")},

	// Comments.
	{name: "a comment is ignored", input: ": data: x\n:\n\n", comments: []string{"data: x", ""}},
	{name: "a comment inside of a block", input: "data: a\n: c\ndata: b\n\n", want: msgs("a\nb"), comments: []string{"c"}},
	{name: "a comment does not end a block", input: "data: a\n:\n", comments: []string{""}},

	// Fields.
	{name: "one space after the colon is removed", input: "data:a\n\ndata: a\n\ndata:  a\n\n", want: msgs("a", "a", " a")},
	{name: "only a space is removed", input: "data:\ta\n\ndata:\u00A0a\n\n", want: msgs("\ta", "\u00A0a")},
	{name: "spaces at the end stay", input: "data: a \n\n", want: msgs("a ")},
	{name: "the first colon separates", input: "data: a: b:c\n\ndata::\n\n", want: msgs("a: b:c", ":")},
	{name: "a field without a colon is empty", input: "data\n\n", want: msgs("")},
	{name: "field names have case", input: "Data: a\nDATA: b\nID: 1\nEvent: x\ndata: c\n\n", want: msgs("c")},
	{name: "field names have no spaces around them", input: " data: a\ndata : b\ndata: c\n\n", want: msgs("c")},
	{name: "an unknown field is ignored", input: "foo: a\ndatax: b\ndat: c\nfoo\ndata: d\n\n", want: msgs("d")},
	{name: "NUL in data is data", input: "data: \x00\n\n", want: msgs("\x00")},

	// Data.
	{name: "data lines are joined with LF", input: "data: a\ndata\ndata: b\n\n", want: msgs("a\n\nb")},
	{name: "two empty data lines are one LF", input: "data\ndata\n\n", want: msgs("\n")},
	{name: "no event without data", input: "event: x\n\nretry: 5\n\n", retry: "5ms"},
	{name: "data does not stay", input: "data: a\n\n\ndata: b\n\n", want: msgs("a", "b")},

	// Event names.
	{name: "a name", input: "event: add\ndata: 1\n\n", want: []sse.Event{{Name: "add", Data: "1"}}},
	{name: "the last name counts", input: "event: a\ndata: 1\nevent: b\n\n", want: []sse.Event{{Name: "b", Data: "1"}}},
	{name: "an empty name is the default", input: "event: a\nevent:\ndata: 1\n\nevent\ndata: 2\n\n", want: msgs("1", "2")},
	{name: "a name does not stay", input: "event: a\ndata: 1\n\ndata: 2\n\n", want: []sse.Event{{Name: "a", Data: "1"}, msg("", "2")}},
	{name: "a name without data does not stay", input: "event: a\n\ndata: 1\n\n", want: msgs("1")},
	{name: "a name may hold NUL", input: "event: a\x00\ndata: 1\n\n", want: []sse.Event{{Name: "a\x00", Data: "1"}}},

	// Ids.
	{name: "an id", input: "id: 1\ndata: a\n\n", want: []sse.Event{msg("1", "a")}, lastID: "1"},
	{name: "an id stays", input: "id: 1\ndata: a\n\ndata: b\n\n", want: []sse.Event{msg("1", "a"), msg("1", "b")}, lastID: "1"},
	{name: "an id without data stays", input: "id: 1\n\ndata: b\n\n", want: []sse.Event{msg("1", "b")}, lastID: "1"},
	{name: "the id of a block counts, wherever it stands", input: "data: a\nid: 1\nid: 2\n\n", want: []sse.Event{msg("2", "a")}, lastID: "2"},
	{name: "an id without a colon resets", input: "id: 1\ndata: a\n\nid\ndata: b\n\n", want: []sse.Event{msg("1", "a"), msg("", "b")}},
	{name: "an empty id resets", input: "id: 1\n\nid: \n\ndata: b\n\n", want: msgs("b")},
	{name: "an id with NUL is ignored", input: "id: 1\n\nid: 2\x00\ndata: a\n\n", want: []sse.Event{msg("1", "a")}, lastID: "1"},
	{name: "an id with spaces", input: "id:  1 \n\n", lastID: " 1 "},
	{name: "an id counts when its block ends", input: "id: 1\n\nid: 2\n", lastID: "1"},

	// Reconnection time.
	{name: "retry", input: "retry: 1500\ndata: a\n\n", want: []sse.Event{{Name: "message", Data: "a", Retry: 1500 * time.Millisecond}}, retry: "1.5s"},
	{name: "retry at once, without a blank line", input: "retry: 7\n", retry: "7ms"},
	{name: "retry in a line without its end is not read", input: "retry: 7"},
	{name: "retry in decimal", input: "retry: 0010\n", retry: "10ms"},
	{name: "retry 0", input: "retry: 0\n", retry: "0s"},
	{name: "retry takes digits only", input: "retry: 5\nretry: 10x\nretry: -1\nretry: +1\nretry: 1.5\nretry:  6\nretry: 1 \nretry: ٣\nretry: 0x1\nretry: 1_0\n", retry: "5ms"},
	{name: "an empty retry is ignored", input: "retry: 5\nretry\nretry:\nretry: \n", retry: "5ms"},
	{name: "retry does not overflow", input: "retry: 99999999999999999999999999\ndata\n\n",
		want: []sse.Event{{Name: "message", Retry: 9223372036854 * time.Millisecond}}, retry: "2562047h47m16.854s"},
	{name: "retry too large and not a number", input: "retry: 99999999999999999999999999x\n"},
	{name: "retry belongs to its block", input: "retry: 5\n\ndata: a\n\n", want: msgs("a"), retry: "5ms"},

	// The end of the stream.
	{name: "an unfinished event is dropped", input: "data: a\n\nevent: x\ndata: b\n", want: msgs("a")},
	{name: "an unfinished line is dropped", input: "data: a\n\ndata: b", want: msgs("a")},
	{name: "a blank line needs its end", input: "data: a\n"},
	{name: "a CR at the very end is a line end", input: "data: a\r\n\r", want: msgs("a")},

	// The examples of the standard.
	{name: "example: three lines", input: "data: YHOO\ndata: +2\ndata: 10\n\n", want: msgs("YHOO\n+2\n10")},
	{name: "example: four blocks", input: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
		want: []sse.Event{msg("1", "first event"), msg("", "second event"), msg("", " third event")}, comments: []string{"test stream"}},
	{name: "example: empty data", input: "data\n\ndata\ndata\n\ndata:", want: msgs("", "\n")},
	{name: "example: the space after the colon", input: "data:test\n\ndata: test\n\n", want: msgs("test", "test")},
	{name: "example: names", input: "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
		want: []sse.Event{{Name: "add", Data: "73857293"}, {Name: "remove", Data: "2153"}, {Name: "add", Data: "113411"}}},
}

func TestDecoderFollowsTheRules(t *testing.T) {
	t.Parallel()
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for reading, r := range readings(tt.input) {
				var events []sse.Event
				var comments []string
				dec := sse.NewDecoder(r, sse.DecoderOptions{OnComment: func(s string) { comments = append(comments, s) }})
				for ev, err := range dec.Events() {
					if err != nil {
						t.Fatalf("%s: %v", reading, err)
					}
					events = append(events, ev)
				}
				if diff := cmp.Diff(tt.want, events); diff != "" {
					t.Errorf("%s: events of %q (-want +got):\n%s", reading, tt.input, diff)
				}
				if diff := cmp.Diff(tt.comments, comments); diff != "" {
					t.Errorf("%s: comments of %q (-want +got):\n%s", reading, tt.input, diff)
				}
				if got := dec.LastEventID(); got != tt.lastID {
					t.Errorf("%s: LastEventID() = %q, want %q", reading, got, tt.lastID)
				}
				if d, ok := dec.Retry(); ok != (tt.retry != "") || ok && d.String() != tt.retry {
					t.Errorf("%s: Retry() = %v, %v, want %q", reading, d, ok, tt.retry)
				}
			}
		})
	}
}

// The oracle of the fuzz tests is worth no more than this.
func TestReferenceFollowsTheRules(t *testing.T) {
	t.Parallel()
	for _, tt := range rules {
		events, lastID := referenceDecode([]byte(tt.input))
		if diff := cmp.Diff(tt.want, events); diff != "" || lastID != tt.lastID {
			t.Errorf("%s: last id %q, want %q; events (-want +got):\n%s", tt.name, lastID, tt.lastID, diff)
		}
	}
}

// readings yields readers of s: at once, byte by byte, with the end of the stream
// together with the last bytes, and every split in two.
func readings(s string) iter.Seq2[string, io.Reader] {
	return func(yield func(string, io.Reader) bool) {
		ok := yield("at once", strings.NewReader(s)) &&
			yield("byte by byte", iotest.OneByteReader(strings.NewReader(s))) &&
			yield("EOF with the last bytes", iotest.DataErrReader(strings.NewReader(s)))
		for i := 1; ok && i < len(s); i++ {
			ok = yield("split after "+s[:i], io.MultiReader(strings.NewReader(s[:i]), strings.NewReader(s[i:])))
		}
	}
}
