package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// untilSpecial counts the bytes before the first one that ends a string, begins an escape or is a
// control character. ascii reports whether all of them are ASCII. It checks eight bytes at a time: the
// highest bit of each byte of a word has the result.
func untilSpecial(b []byte) (n int, ascii bool) {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	var seen uint64
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		seen |= w
		quote, escape := w^('"'*ones), w^('\\'*ones) // 0 where there is one
		// x-y borrows from the byte above only where y > x, so the lowest bit
		// that is set is always right.
		if found := ((quote-ones)&^quote | (escape-ones)&^escape | (w-' '*ones)&^w) & highs; found != 0 {
			return n + bits.TrailingZeros64(found)/8, seen&highs == 0
		}
	}
	for n < len(b) && b[n] != '"' && b[n] != '\\' && b[n] >= ' ' {
		seen |= uint64(b[n])
		n++
	}
	return n, seen&highs == 0
}

// unescaped maps the byte after a backslash to its character, 0 for none.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// appendUnquoted decodes the inside of a JSON string. As in encoding/json, each byte that is not UTF-8,
// and each surrogate without its partner, becomes U+FFFD. The escapes must be valid.
func appendUnquoted(dst, raw []byte) []byte {
	dst = slices.Grow(dst, len(raw))
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '\\' && raw[i+1] == 'u':
			r, n := unicodeEscape(raw[i:])
			dst, i = utf8.AppendRune(dst, r), i+n
		case c == '\\':
			dst, i = append(dst, unescaped[raw[i+1]]), i+2
		case c < utf8.RuneSelf:
			dst, i = append(dst, c), i+1
		default:
			r, n := utf8.DecodeRune(raw[i:])
			dst, i = utf8.AppendRune(dst, r), i+n
		}
	}
	return dst
}

// unicodeEscape decodes the \uXXXX at the front of s, or a surrogate pair of two of them, and returns
// the number of bytes.
func unicodeEscape(s []byte) (r rune, n int) {
	r = hex4(s[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 decodes the four hexadecimal digits at the front of s; -1 if they are not there.
func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
