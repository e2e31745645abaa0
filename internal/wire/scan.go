package wire

import "unicode/utf8"

// maxDepth bounds the nesting of arrays and objects, as in encoding/json.
const maxDepth = 10_000

// kind is the type of a JSON value.
type kind uint8

const (
	kindAbsent kind = iota // the field is not there
	kindNull
	kindTrue
	kindFalse
	kindNumber
	kindText
	kindArray
	kindObject
)

// value is the value of a field, as a part of the body.
type value struct {
	kind kind
	// raw is the inside of a string, without its quotes, or a whole array or object.
	raw []byte
	// plain says that a string has no escapes and is valid UTF-8.
	plain bool
}

// scanner reads a JSON text (RFC 8259) once, from front to back, and copies nothing. Between calls it
// is at a byte that is not white space. After the first mistake it is at the end, where all methods
// find nothing, so only the last caller must check done.
type scanner struct {
	body []byte
	at   int
	bad  bool
	// open has the closing bracket of each array and object around the position. It replaces a
	// recursion, whose stack a caller could grow.
	open []byte
}

// hasFields reports whether an object begins here; its fields come next. An array or an empty body has
// no fields: for compatibility, the error then names the missing field, and not the JSON.
func (s *scanner) hasFields() bool {
	switch {
	case s.peek() == '{':
		return true
	case s.peek() == '[':
		s.value()
	case len(s.body) > 0:
		s.fail()
	}
	return false
}

// done reports whether the whole body was read and valid.
func (s *scanner) done() bool { return !s.bad && s.at == len(s.body) }

func (s *scanner) fail() {
	s.bad, s.at, s.open = true, len(s.body), s.open[:0]
}

// peek returns the next byte, or 0 at the end: JSON has no NUL outside of strings.
func (s *scanner) peek() byte {
	if s.at < len(s.body) {
		return s.body[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.body) {
		switch s.body[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// enter skips an opening bracket and reports whether anything is inside; if not, it skips the closing
// bracket too. It begins the loop
//
//	for more := s.enter(); more; more = s.next() { … }
//
// in which each round reads one value; in an object, after its name.
func (s *scanner) enter() (more bool) {
	if len(s.open) == maxDepth {
		s.fail()
		return false
	}
	s.open = append(s.open, s.peek()+2) // in ASCII ']' and '}' are two after '[' and '{'
	s.at++
	s.space()
	if s.peek() == s.open[len(s.open)-1] {
		s.leave()
		return false
	}
	return !s.bad
}

// next skips to the next value of an array, or name of an object. If there is none, it skips the
// closing bracket.
func (s *scanner) next() (more bool) {
	if s.bad {
		return false
	}
	switch s.peek() {
	case ',':
		s.at++
		s.space()
		return true
	case s.open[len(s.open)-1]:
		s.leave()
	default:
		s.fail()
	}
	return false
}

func (s *scanner) leave() {
	s.open = s.open[:len(s.open)-1]
	s.at++
	s.space()
}

// name reads the name of a field, and its colon. Use the result for comparisons only.
func (s *scanner) name() []byte {
	if s.peek() != '"' {
		s.fail()
		return nil
	}
	v := s.text()
	if s.peek() != ':' {
		s.fail()
		return nil
	}
	s.at++
	s.space()
	if !v.plain {
		return appendUnquoted(nil, v.raw) // rare: a name with escapes
	}
	return v.raw
}

// value reads a value of any kind.
func (s *scanner) value() value {
	switch s.peek() {
	case '"':
		return s.text()
	case '{':
		return s.nested(kindObject)
	case '[':
		return s.nested(kindArray)
	case 't':
		return s.word("true", kindTrue)
	case 'f':
		return s.word("false", kindFalse)
	case 'n':
		return s.word("null", kindNull)
	}
	return s.number()
}

// nested reads a whole array or object.
func (s *scanner) nested(k kind) value {
	start, depth := s.at, len(s.open)
	for more := s.enter(); ; {
		switch {
		case s.bad:
			return value{}
		case more:
			if s.open[len(s.open)-1] == '}' {
				s.name()
			}
			if c := s.peek(); c == '{' || c == '[' {
				more = s.enter()
				continue
			}
			s.value()
		case len(s.open) == depth:
			return value{kind: k, raw: s.body[start:s.at]}
		}
		more = s.next()
	}
}

// text reads a string.
func (s *scanner) text() value {
	s.at++
	start := s.at
	plain, ascii := true, true
	for {
		n, low := untilSpecial(s.body[s.at:])
		s.at, ascii = s.at+n, ascii && low
		switch s.peek() {
		case '"':
			raw := s.body[start:s.at]
			s.at++
			s.space()
			return value{kind: kindText, raw: raw, plain: plain && (ascii || utf8.Valid(raw))}
		case '\\':
			plain = false
			s.escape()
		default: // a control character, or the end
			s.fail()
			return value{}
		}
	}
}

// escape skips an escape in a string.
func (s *scanner) escape() {
	s.at++
	switch c := s.peek(); {
	case unescaped[c] != 0:
		s.at++
	case c == 'u' && s.at+5 <= len(s.body) && hex4(s.body[s.at+1:]) >= 0:
		s.at += 5
	default:
		s.fail()
	}
}

// word reads true, false or null.
func (s *scanner) word(word string, k kind) value {
	end := s.at + len(word)
	if end > len(s.body) || string(s.body[s.at:end]) != word {
		s.fail()
		return value{}
	}
	s.at = end
	s.space()
	return value{kind: k}
}

// number reads a number, or fails if there is none.
func (s *scanner) number() value {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.at++
		s.digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		s.digits()
	}
	s.space()
	return value{kind: kindNumber}
}

// digits skips one or more digits.
func (s *scanner) digits() {
	start := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	if s.at == start {
		s.fail()
	}
}
