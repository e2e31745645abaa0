package wire

import "unicode/utf8"

// AppendJSONString appends s as a JSON string, exactly as an [encoding/json.Encoder] without HTML
// escapes does. It does not allocate if dst has room.
func AppendJSONString(dst []byte, s string) []byte { return appendString(dst, s, &plain) }

// appendQuoted does the same as [encoding/json.Marshal], which escapes <, > and & too.
func appendQuoted(dst []byte, s string) []byte { return appendString(dst, s, &htmlSafe) }

// plain and htmlSafe are the ASCII characters that need no escape.
var (
	plain    = allBut(`"\`)
	htmlSafe = allBut(`"\<>&`)
)

// allBut returns the characters that are neither special nor control characters.
func allBut(special string) (safe [utf8.RuneSelf]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		safe[c] = true
	}
	for _, c := range special {
		safe[c] = false
	}
	return safe
}

// appendString appends s as a JSON string with the escapes that encoding/json
// chooses: short ones where it has them, \u00xx for other characters that are
// not safe, the replacement character for each byte that is not UTF-8, and
// U+2028 and U+2029 for the sake of JavaScript.
func appendString(dst []byte, s string, safe *[utf8.RuneSelf]bool) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if !safe[c] {
				dst = appendEscape(append(dst, s[done:i]...), c)
				done = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		escape := ""
		switch {
		case r == utf8.RuneError && size == 1:
			escape = `\ufffd`
		case r == '\u2028':
			escape = `\u2028`
		case r == '\u2029':
			escape = `\u2029`
		}
		if escape != "" {
			dst = append(append(dst, s[done:i]...), escape...)
			done = i + size
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"')
}

// appendEscape appends the escape of an ASCII character.
func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}
