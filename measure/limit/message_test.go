package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScanMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, token, name, data string }{
		{`{"token":"abc","event":{"name":"bench","data":"1 -1 2 ..."}}`, "abc", "bench", "1 -1 2 ..."},
		{`{"token":"*","event":{"name":"","data":""}}` + "\r\n", "*", "", ""},
		{`{"token":"a","event":{"name":"n","data":"\"\\\/\b\f\n\r\t"}}`, "a", "n", "\"\\/\b\f\n\r\t"},
		{`{"token":"\u0061","event":{"name":"\u00e9x","data":"\u20AC \ud83d\ude00!"}}`, "a", "éx", "€ 😀!"},
		{`{"token":"a","event":{"name":"é","data":"\ud83d, \ude00, \ud83d\u0041"}}`, "a", "é", "\ufffd, \ufffd, \ufffdA"},
		{`{"token":"a","event":{"name":"b","data":"{\"token\":\"x\"}"}}`, "a", "b", `{"token":"x"}`},
	} {
		var s scanner
		m, err := s.scan([]byte(c.in))
		if err != nil || string(m.token) != c.token || string(m.name) != c.name || string(m.data) != c.data {
			t.Errorf("scan(%s) = %q, %v; want %q, %q, %q", c.in, m, err, c.token, c.name, c.data)
		}
	}
}

func TestScanRejects(t *testing.T) {
	t.Parallel()
	const good = `{"token":"abc","event":{"name":"bench","data":"1\u00e9\n"}}`
	bad := []string{
		good + "x",
		good + good,
		`{"topic":"abc","event":{"name":"bench","data":"1"}}`,
		`{"token":"abc","close":true}`,
		`{"event":{"name":"bench","data":"1"},"token":"abc"}`,
		`{"token":1,"event":{"name":"bench","data":"1"}}`,
		`{"token":"abc","event":{"name":"bench","data":"a` + "\n" + `b"}}`,
		`{"token":"abc","event":{"name":"bench","data":"\x"}}`,
		`{"token":"abc","event":{"name":"bench","data":"\u12g4"}}`,
		`{"token":"abc","event":{"name":"a\ndata: b","data":""}}`,
	}
	for n := range len(good) {
		bad = append(bad, good[:n])
	}
	for _, in := range bad {
		var s scanner
		if m, err := s.scan([]byte(in)); err == nil {
			t.Errorf("scan(%s) = %q, want an error", in, m)
		}
	}
}

// FuzzScan compares with encoding/json: what is taken is JSON, and means what it
// means there.
func FuzzScan(f *testing.F) {
	f.Add(`{"token":"abc","event":{"name":"bench","data":"1 -1 2 ..."}}`)
	f.Add(`{"token":"*","event":{"name":"","data":"\ud83d\ude00\ud83d\ud83d\ude00 \"\\\/\b\f\n\r\t"}}`)
	f.Fuzz(func(t *testing.T, in string) {
		var s scanner
		m, err := s.scan([]byte(in))
		if err != nil || !utf8.ValidString(in) {
			return // encoding/json replaces what is not UTF-8; we pass it on
		}
		var want struct {
			Token string
			Event struct{ Name, Data string }
		}
		if err := json.Unmarshal([]byte(in), &want); err != nil {
			// bytes.TrimSpace takes off more than JSON does.
			if err := json.Unmarshal([]byte(strings.TrimSpace(in)), &want); err != nil {
				t.Fatalf("scan took %q: %v", in, err)
			}
		}
		if string(m.token) != want.Token || string(m.name) != want.Event.Name || string(m.data) != want.Event.Data {
			t.Fatalf("scan(%q) = %q, want %q", in, m, want)
		}
	})
}

func TestFramesAreChunksOfOneEvent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, data, want string }{
		{"bench", "1 -1 2", "1b\r\nevent: bench\ndata: 1 -1 2\n\n\r\n"},
		{"", "", "8\r\ndata: \n\n\r\n"},
		{"", "a\nb\r\nc\rd\n", "28\r\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n\r\n"},
	} {
		var f framer
		got := string(f.append([]byte("before"), message{name: []byte(c.name), data: []byte(c.data)}))
		if got != "before"+c.want {
			t.Errorf("frame of %q, %q = %q, want %q", c.name, c.data, got, c.want)
		}
	}
}

func BenchmarkScanAndFrame(b *testing.B) {
	in := []byte(`{"token":"0123456789abcdefghijkl","event":{"name":"bench","data":"` + strings.Repeat(".", 128) + `"}}`)
	var s scanner
	var f framer
	var frame []byte
	b.ReportAllocs()
	for b.Loop() {
		m, err := s.scan(in)
		if err != nil {
			b.Fatal(err)
		}
		frame = f.append(frame[:0], m)
	}
}
