package eventlog

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

func countsMsg(node string, n, receivers uint64) *natsgo.Msg {
	return &natsgo.Msg{Data: appendCount(appendCountsFrom(nil, node), n, receivers)}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("n", "data", uint64(1), uint64(0), byte(1), []byte{1, 15, 1, 1, 1, 'n'})
	f.Add("", "", uint64(1<<63), uint64(1<<64-1), byte(14), []byte{1, 0, 0x80})
	f.Add("ö\x00", strings.Repeat("x", 300), uint64(300), uint64(3), byte(8), []byte{2, 0})
	f.Fuzz(func(t *testing.T, name, data string, number, prev uint64, flags byte, raw []byte) {
		e := topic.Entry{
			Name: name, Data: data, Number: number, Prev: prev,
			HasEvent: flags&1 != 0, Close: flags&2 != 0, Delete: flags&4 != 0,
		}
		got, known, err := parseEnvelope(appendEnvelope(nil, e, flags&8 != 0))
		if err != nil || got != e || known != (flags&8 != 0) {
			t.Errorf("%+v came back as %+v, %v, %v", e, got, known, err)
		}
		if e, known, err := parseEnvelope(raw); err == nil {
			again := appendEnvelope(nil, e, known)
			if e2, known2, err := parseEnvelope(again); err != nil || e2 != e || known2 != known {
				t.Errorf("%x was read as %+v, and then as %+v", raw, e, e2)
			}
		}
	})
}

func FuzzTopicSubject(f *testing.F) {
	for _, s := range []string{"", "a", "a:b-C_9", "a.b", ">", "*", "=", "=YQ", "ä\x00 \r\n", "a/b", "$JS"} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		token := encodeTopic(a)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n\x00") || strings.HasPrefix(token, "$") {
			t.Errorf("%q becomes %q", a, token)
		}
		if got, ok := decodeTopic(token); !ok || got != a {
			t.Errorf("%q came back as %q, %v", a, got, ok)
		}
		if a != b && token == encodeTopic(b) {
			t.Errorf("%q and %q are both %q", a, b, token)
		}
		if got, ok := decodeTopic(a); ok && encodeTopic(got) != a {
			t.Errorf("%q is read as %q, which is %q", a, got, encodeTopic(got))
		}
	})
}

func FuzzCounts(f *testing.F) {
	f.Add([]byte{1, 'a', 1, 2})
	f.Add([]byte{9, 'a'})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, raw []byte) {
		node, counts, err := parseCounts(raw)
		if err != nil {
			return
		}
		again := appendCountsFrom(nil, node)
		for _, c := range counts {
			again = appendCount(again, c.n, c.receivers)
		}
		if node2, counts2, err := parseCounts(again); err != nil || node2 != node || !reflect.DeepEqual(counts2, counts) {
			t.Errorf("%x was read as %q %v, and then as %q %v", raw, node, counts, node2, counts2)
		}
	})
}

func TestRefsComeBack(t *testing.T) {
	t.Parallel()
	for _, want := range []appendRef{{"n", 0}, {"abc.d", 1<<64 - 1}} {
		if got, ok := parseRef(want.String()); !ok || got != want {
			t.Errorf("%v came back as %v, %v", want, got, ok)
		}
	}
	for _, s := range []string{"", "n", ".1", "n.", "n.-1", "n.zzzzzzzzzzzzzzzz"} {
		if got, ok := parseRef(s); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestTTLIsWholeSecondsRoundedUp(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{1: "1s", time.Second: "1s", time.Hour + 1: "3601s"} {
		if got := formatTTL(age); got != want {
			t.Errorf("formatTTL(%v) = %q", age, got)
		}
	}
}

func TestBornComesBackAndNothingElseIsTakenForIt(t *testing.T) {
	t.Parallel()
	e := new(nats.Engine)
	entry := topic.Entry{Topic: "a", HasEvent: true, Number: 1, DeletedTo: 1<<64 - 1}
	try := newTry(entry, appendRef{"n", 1})
	msg := try.message(e)
	if got, err := storedOf(e, msg.Subject, msg.Header, msg.Data, 7, 1); err != nil || got.Entry != entry {
		t.Errorf("%+v came back as %+v, %v", entry, got, err)
	}
	for _, s := range []string{"-1", "x y", "zzzzzzzzzzzzzzzz"} {
		msg.Header.Set(headerBorn, s)
		if got, err := storedOf(e, msg.Subject, msg.Header, msg.Data, 7, 1); !errors.Is(err, errEnvelope) {
			t.Errorf("%q is read as %d, %v", s, got.DeletedTo, err)
		}
	}
}
