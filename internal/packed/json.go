package packed

import "unicode/utf8"

// AppendJSON appends the bytes that a [encoding/json.Encoder] without HTML
// escapes gives for what [Store.Unpack] returns, without making it: it takes no
// memory if dst has room.
func (s *Store) AppendJSON(dst []byte, r Request) []byte {
	p := r.parts()
	dst = append(dst, `{"url":`...)
	dst = appendString(dst, p.url)
	dst = append(dst, `,"headers":{`...)
	first := true
	for name, value := range s.headers(p) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, name), ':')
		dst = appendString(dst, value)
	}
	dst = append(dst, '}')
	if p.method != "" {
		dst = appendString(append(dst, `,"method":`...), p.method)
	}
	switch {
	case p.form != addrText: // has nothing to escape
		dst = append(p.appendRemote(append(dst, `,"remote_addr":"`...)), '"')
	case p.remote != "":
		dst = appendString(append(dst, `,"remote_addr":`...), p.remote)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string with the escapes that encoding/json
// chooses: short ones where it has them, \u00xx for other control characters,
// the replacement character for each byte that is not UTF-8, and U+2028 and
// U+2029 for the sake of JavaScript.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0 // s[:done] has been appended
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				dst = appendEscape(append(dst, s[done:i]...), c)
				done = i + 1
			}
			i++
			continue
		}
		c, size := utf8.DecodeRuneInString(s[i:])
		escape := ""
		switch {
		case c == utf8.RuneError && size == 1:
			escape = `\ufffd`
		case c == '\u2028':
			escape = `\u2028`
		case c == '\u2029':
			escape = `\u2029`
		}
		i += size
		if escape != "" {
			dst = append(append(dst, s[done:i-size]...), escape...)
			done = i
		}
	}
	return append(append(dst, s[done:]...), '"')
}

// appendEscape appends an ASCII character that must not stand for itself.
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
