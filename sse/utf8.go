package sse

import (
	"unicode/utf8"
)

// validString returns b as a string, with U+FFFD in place of what is not UTF-8.
func validString(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string(appendValid(nil, b))
}

// appendValid appends src to dst as the UTF-8 decode algorithm of the WHATWG Encoding
// standard reads it. Every sequence that breaks off becomes one U+FFFD, so E2 82 is one
// and not two. Package unicode/utf8 would give one for each byte, and
// [strings.ToValidUTF8] one for any number of broken sequences in a row.
func appendValid(dst, src []byte) []byte {
	if utf8.Valid(src) {
		return append(dst, src...)
	}
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		if r == utf8.RuneError && size == 1 {
			size = brokenLen(src)
		}
		dst = utf8.AppendRune(dst, r)
		src = src[size:]
	}
	return dst
}

// brokenLen returns the length of the ill-formed sequence that b begins with: its lead
// byte and the continuation bytes that could still have completed it.
func brokenLen(b []byte) int {
	lower, upper := byte(0x80), byte(0xBF)
	var want int // continuation bytes that the lead byte asks for
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		want = 1
	case c >= 0xE0 && c <= 0xEF:
		want = 2
	case c >= 0xF0 && c <= 0xF4:
		want = 3
	}
	switch b[0] { // no overlong forms, no surrogates, nothing above U+10FFFF
	case 0xE0:
		lower = 0xA0
	case 0xED:
		upper = 0x9F
	case 0xF0:
		lower = 0x90
	case 0xF4:
		upper = 0x8F
	}
	n := 1
	for n <= want && n < len(b) && b[n] >= lower && b[n] <= upper {
		n++
		lower, upper = 0x80, 0xBF
	}
	return n
}
