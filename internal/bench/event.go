package bench

import (
	"bytes"
	"strconv"
	"time"
)

// mark is the beginning of each event's data: three numbers. The rest is padding.
type mark struct {
	seq int64 // from 1, for each stream
	to  int64 // the stream that it is for, or everyone
	at  int64 // when its sending began: nanoseconds since 1970
}

// everyone is the address of events that go to all streams.
const everyone = -1

// appendData appends an event's data of size bytes. It needs no escaping in
// JSON.
func appendData(b []byte, m mark, size int) []byte {
	start := len(b)
	for _, n := range []int64{m.seq, m.to, m.at} {
		b = strconv.AppendInt(b, n, 10)
		b = append(b, ' ')
	}
	for len(b)-start < size {
		b = append(b, '.')
	}
	return b
}

// parseMark reads what appendData wrote.
func parseMark(data []byte) (m mark, ok bool) {
	var oks [3]bool
	m.seq, data, oks[0] = parseNumber(data)
	m.to, data, oks[1] = parseNumber(data)
	m.at, _, oks[2] = parseNumber(data)
	return m, oks[0] && oks[1] && oks[2] && m.seq > 0
}

// parseNumber reads a number and the blank behind it. It is done for every
// event, without making a string of it.
func parseNumber(b []byte) (n int64, rest []byte, ok bool) {
	number, rest, found := bytes.Cut(b, []byte{' '})
	digits, negative := bytes.CutPrefix(number, []byte{'-'})
	if !found || len(digits) == 0 || len(digits) > 18+1 {
		return 0, rest, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' || n > (1<<63-1-9)/10 {
			return 0, rest, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, rest, true
}

// target is where an event is sent: a token or a topic.
type target struct {
	field string // "token" or "topic"
	name  string
}

func topicTarget(name string) target  { return target{"topic", name} }
func tokenTarget(token string) target { return target{"token", token} }

// appendMessage appends the JSON of one message for POST /internal/send. Names
// of targets must need no escaping: tokens and our topics do not.
func appendMessage(b []byte, t target, m mark, size int) []byte {
	b = append(b, `{"`...)
	b = append(b, t.field...)
	b = append(b, `":"`...)
	b = append(b, t.name...)
	b = append(b, `","event":{"name":"bench","data":"`...)
	b = appendData(b, m, size)
	return append(b, `"}}`...)
}

func now() int64 { return time.Now().UnixNano() }
