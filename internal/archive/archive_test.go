package archive_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/archive"
	"tidegate/internal/topic"
)

var (
	header = archive.Header{Generation: "abcdefgh", Secret: "s", Last: 100, Discarded: 2}
	events = []archive.Event{
		{Stored: topic.Stored{Seq: 3, At: 1_796_070_000_123_456_789, Entry: topic.Entry{Topic: "a", Name: "n<&>", Data: "é\n\u2028\x00", HasEvent: true, Number: 1, Age: time.Hour}, PrevKnown: true}},
		{Stored: topic.Stored{Seq: 5, At: 1, Entry: topic.Entry{Topic: "a\xff", Data: "\xfe\x80", HasEvent: true, Close: true, Number: 2, Prev: 3}}, KeyID: "0123456789abcdef"},
		{Stored: topic.Stored{Seq: 90, At: 2, Entry: topic.Entry{Topic: "a", Delete: true, DeletedTo: 5}}},
	}
)

func write(t testing.TB, h archive.Header, events []archive.Event) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := archive.NewWriter(&out, h)
	for _, e := range events {
		err = errors.Join(err, w.Write(e))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read gives all that is there, up to what is wrong.
func read(text []byte) (h archive.Header, events []archive.Event, err error) {
	r, err := archive.NewReader(bytes.NewReader(text))
	if err != nil {
		return h, nil, err
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header(), events, nil
		}
		if err != nil {
			return r.Header(), events, err
		}
		events = append(events, e)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	h, got, err := read(write(t, header, events))
	if err != nil {
		t.Fatal(err)
	}
	want := header
	want.Format, want.Version = archive.Format, 1
	if diff := cmp.Diff(want, h) + cmp.Diff(events, got); diff != "" {
		t.Error(diff)
	}
}

// TestAnArchiveThatIsNotWholeIsNotRead, wherever it was cut.
func TestAnArchiveThatIsNotWholeIsNotRead(t *testing.T) {
	t.Parallel()
	text := write(t, header, events)
	for n := range len(text) - 1 { // without the last line feed it is whole
		if _, _, err := read(text[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes pass", n, len(text))
		}
	}
	lines := strings.SplitAfter(string(text), "\n")
	if _, _, err := read([]byte(lines[0] + lines[2] + lines[3] + lines[4])); err == nil {
		t.Error("a line in the middle is missing, and nobody notices")
	}
}

func TestWhatIsNoArchiveSaysSo(t *testing.T) {
	t.Parallel()
	text := string(write(t, header, events))
	for what, c := range map[string]struct{ text, want string }{
		"nothing":          {"", "empty"},
		"something else":   {"{\"topic\":\"a\"}\n", archive.Format},
		"a later version":  {strings.Replace(text, `"version":1`, `"version":2`, 1), "version 2"},
		"a later field":    {strings.Replace(text, `"seq":3`, `"seq":3,"later":1`, 1), "later"},
		"another order":    {strings.Replace(text, `"seq":3`, `"seq":7`, 1), "position 5"},
		"above the last":   {strings.Replace(text, `"seq":90`, `"seq":101`, 1), "position 101"},
		"something behind": {text + "{}\n", "after the last line"},
		"no time":          {strings.Replace(text, `"time":"2026`, `"time":"x`, 1), "line 2"},
		"an encoding":      {strings.Replace(text, `"encoding":"base64"`, `"encoding":"rot13"`, 1), "rot13"},
	} {
		if _, _, err := read([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", what, err, c.want)
		}
	}
}

// FuzzReader: whatever is read is written the same way, and read as the same.
func FuzzReader(f *testing.F) {
	f.Add(write(f, header, events))
	f.Add([]byte("{\"format\":\"tidegate-log\",\"version\":1,\"last\":9}\n{\"seq\":1,\"time\":\"1970-01-01T00:00:00Z\",\"topic\":\"a\"}\n{\"end\":true,\"events\":1}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, events, err := read(text)
		if err != nil {
			return
		}
		again, same, err := read(write(t, h, events))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(h, again) + cmp.Diff(events, same); diff != "" {
			t.Error(diff)
		}
	})
}
