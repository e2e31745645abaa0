package sse_test

import (
	"strings"
	"time"

	"tidegate/sse"
)

// referenceDecode is the standard's text as plainly as it can be written, over the
// whole stream at once. It is what the decoder is compared with.
func referenceDecode(input []byte) (events []sse.Event, lastID string) {
	text := strings.TrimPrefix(whatwgUTF8(input), "\uFEFF")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	lines := strings.Split(text, "\n")

	var data, name, id string
	var retry time.Duration
	for _, line := range lines[:len(lines)-1] { // what follows the last line end is no line
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			lastID = id
			if data != "" {
				if name == "" {
					name = "message"
				}
				events = append(events, sse.Event{ID: lastID, Name: name, Data: strings.TrimSuffix(data, "\n"), Retry: retry})
			}
			data, name, retry = "", "", 0
		case field == "data":
			data += value + "\n"
		case field == "event":
			name = value
		case field == "id" && !strings.Contains(value, "\x00"):
			id = value
		case field == "retry" && value != "" && strings.Trim(value, "0123456789") == "":
			retry = referenceRetry(value)
		}
	}
	return events, lastID
}

func referenceRetry(digits string) time.Duration {
	const longest = 9223372036854 // milliseconds in a time.Duration
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 13 {
		return longest * time.Millisecond
	}
	var ms time.Duration
	for _, c := range digits {
		ms = 10*ms + time.Duration(c-'0')
	}
	return min(ms, longest) * time.Millisecond
}

// whatwgUTF8 is the UTF-8 decoder of the WHATWG Encoding standard, 8.1.1, byte by byte.
func whatwgUTF8(in []byte) string {
	var out strings.Builder
	var point rune
	var seen, needed int
	lower, upper := byte(0x80), byte(0xBF)
	for i := 0; i < len(in); {
		b := in[i]
		if needed == 0 {
			i++
			switch {
			case b <= 0x7F:
				out.WriteByte(b)
			case b >= 0xC2 && b <= 0xDF:
				needed, point = 1, rune(b&0x1F)
			case b >= 0xE0 && b <= 0xEF:
				if b == 0xE0 {
					lower = 0xA0
				}
				if b == 0xED {
					upper = 0x9F
				}
				needed, point = 2, rune(b&0xF)
			case b >= 0xF0 && b <= 0xF4:
				if b == 0xF0 {
					lower = 0x90
				}
				if b == 0xF4 {
					upper = 0x8F
				}
				needed, point = 3, rune(b&0x7)
			default:
				out.WriteRune('\uFFFD')
			}
			continue
		}
		if b < lower || b > upper { // the byte is looked at again, as the first of the next
			point, seen, needed, lower, upper = 0, 0, 0, 0x80, 0xBF
			out.WriteRune('\uFFFD')
			continue
		}
		i++
		lower, upper = 0x80, 0xBF
		point = point<<6 | rune(b&0x3F)
		if seen++; seen == needed {
			out.WriteRune(point)
			point, seen, needed = 0, 0, 0
		}
	}
	if needed > 0 {
		out.WriteRune('\uFFFD')
	}
	return out.String()
}
