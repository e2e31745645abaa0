package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

var notFound = wire.Errorf(http.StatusNotFound, wire.CodeTokenNotFound, "Token not found")

// answers are what the gateway says, and texts in which an encoder can go wrong.
var answers = []wire.SendAnswer{
	{}, {Status: wire.StatusOK}, {Status: wire.StatusBuffered}, {Status: wire.StatusOK, Code: 200},
	{Status: wire.StatusOK, ID: "k3f9x2a7-1", Receivers: new(0)}, {Status: wire.StatusOK, ID: "k3f9x2a7-1", Receivers: new(12_345), Code: 200},
	{Receivers: new(-1)}, {Code: -1}, {Error: &wire.Error{}}, {Code: 404, Error: notFound},
	{ID: "\"\\/\b\f\n\r\t\x00\x01\x1f\x7f<>&'"}, {ID: "é世😀\u2027\u2028\u2029\u202a\uFFFD\uFFFE\u0080"},
	{ID: "a\xffb\x80"}, {ID: "\xef\xbf"}, {ID: "\xed\xa0\x80"}, {ID: "\xe2\x80"}, {Error: &wire.Error{Message: "<\xef>\u2028", Code: "A\nB", RetryAfter: time.Second}},
}

// sameAsMarshal encodes an answer by both ways, alone and as a line of a batch.
func sameAsMarshal(t *testing.T, a wire.SendAnswer) {
	t.Helper()
	want, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.AppendJSON(nil); !bytes.Equal(got, want) {
		t.Errorf("AppendJSON gives %s, want %s", got, want)
	}
	var lines bytes.Buffer
	_ = json.NewEncoder(&lines).Encode(a) // into memory
	if got := append(a.AppendJSON([]byte("before\n")), '\n'); string(got) != "before\n"+lines.String() {
		t.Errorf("AppendJSON after a line gives %q, want %q", got, lines.String())
	}
}

// sameAsWriteJSON answers with a and its error by both ways.
func sameAsWriteJSON(t *testing.T, a wire.SendAnswer) {
	t.Helper()
	record := func(write func(http.ResponseWriter)) string {
		w := httptest.NewRecorder()
		write(w)
		return fmt.Sprint(w.Code, w.Header(), w.Body)
	}
	got := record(func(w http.ResponseWriter) { wire.WriteAnswer(w, a) })
	if want := record(func(w http.ResponseWriter) { wire.WriteJSON(w, http.StatusOK, a) }); got != want {
		t.Errorf("WriteAnswer gives %s, want %s", got, want)
	}
	if a.Error == nil {
		return
	}
	e := *a.Error
	e.Status, e.RetryAfter = http.StatusTeapot, 0
	got = record(func(w http.ResponseWriter) { wire.WriteError(w, &e) })
	if want := record(func(w http.ResponseWriter) { wire.WriteJSON(w, e.Status, map[string]any{"error": e}) }); got != want {
		t.Errorf("WriteError gives %s, want %s", got, want)
	}
}

func TestAnswersAreLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<", 3000) // longer than what headers and buffers are ready for
	for _, a := range append(answers, wire.SendAnswer{ID: long, Error: &wire.Error{Message: long}}, wire.SendAnswer{ID: long[:200]}) {
		sameAsMarshal(t, a)
		sameAsWriteJSON(t, a)
	}
}

// FuzzSendAnswerLikeEncodingJSON holds that no text is written otherwise than by
// encoding/json.
func FuzzSendAnswerLikeEncodingJSON(f *testing.F) {
	for _, a := range answers {
		message, code := "", ""
		if a.Error != nil {
			message, code = a.Error.Message, string(a.Error.Code)
		}
		f.Add(a.Status, a.ID, a.Receivers != nil, len(a.ID), a.Code, a.Error != nil, message, code)
	}
	f.Fuzz(func(t *testing.T, status, id string, topic bool, receivers, code int, failed bool, message, errorCode string) {
		a := wire.SendAnswer{Status: status, ID: id, Code: code}
		if topic {
			a.Receivers = &receivers
		}
		if failed {
			a.Error = &wire.Error{Message: message, Code: wire.Code(errorCode)}
		}
		sameAsMarshal(t, a)
		sameAsWriteJSON(t, a)
	})
}

// discard is a ResponseWriter that costs nothing itself.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return len(p), nil }

// garbage counts the allocations of one call. The race detector makes
// [sync.Pool] forget at random, and so there the least of several runs counts.
func garbage(f func()) float64 {
	least := testing.AllocsPerRun(100, f)
	for range 20 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

func TestAnswersMakeNoGarbage(t *testing.T) {
	full := &wire.Error{Status: 503, Code: wire.CodeBufferFull, Message: "Buffer full", RetryAfter: time.Second}
	published := wire.SendAnswer{Status: wire.StatusOK, ID: "k3f9x2a7-1", Receivers: new(1000)}
	buf := make([]byte, 0, 256)
	for name, write := range map[string]func(http.ResponseWriter){
		"ok":        func(w http.ResponseWriter) { wire.WriteAnswer(w, wire.SendAnswer{Status: wire.StatusOK}) },
		"published": func(w http.ResponseWriter) { wire.WriteAnswer(w, published) },
		"not found": func(w http.ResponseWriter) { wire.WriteError(w, notFound) },
		"full":      func(w http.ResponseWriter) { wire.WriteError(w, full) },
		"a line": func(http.ResponseWriter) {
			buf = append(wire.SendAnswer{Code: 404, Error: notFound}.AppendJSON(buf[:0]), '\n')
		},
	} {
		w := discard{http.Header{}}
		if n := garbage(func() { write(w) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// TestAHugeAnswerIsNotKept has the buffers of answers stay small.
func TestAHugeAnswerIsNotKept(t *testing.T) {
	huge := &wire.Error{Status: 500, Message: strings.Repeat("x", 8<<10)}
	w := discard{http.Header{}}
	if n := garbage(func() { wire.WriteError(w, huge) }); n <= 2 { // two are its Content-Length
		t.Error("the buffer of a huge answer was kept")
	}
}

func BenchmarkSendAnswer(b *testing.B) {
	w := discard{http.Header{}}
	published := wire.SendAnswer{Status: wire.StatusOK, ID: "k3f9x2a7-1", Receivers: new(1000)}
	for _, tt := range []struct {
		name  string
		write func()
	}{
		{"ok/WriteAnswer", func() { wire.WriteAnswer(w, wire.SendAnswer{Status: wire.StatusOK}) }},
		{"ok/WriteJSON", func() { wire.WriteJSON(w, http.StatusOK, wire.SendAnswer{Status: wire.StatusOK}) }},
		{"published/WriteAnswer", func() { wire.WriteAnswer(w, published) }},
		{"published/WriteJSON", func() { wire.WriteJSON(w, http.StatusOK, published) }},
		{"refused/WriteError", func() { wire.WriteError(w, notFound) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tt.write()
			}
		})
	}
}
