package wire

import (
	"bytes"
	"strings"
	"unsafe"
)

// ParseMessage reads one message like [Parser.Parse]. The message has memory of its own.
func ParseMessage(body []byte) (Message, error) {
	var p Parser
	m, err := p.Parse(body)
	return m.Clone(), err
}

// maxScratch bounds the scratch memory that a Parser keeps for the next message, in bytes.
const maxScratch = 64 << 10

// Parser reads messages without allocating: it reuses the memory for strings with escapes. The zero
// Parser is ready to use. It is not safe for concurrent use.
type Parser struct {
	open    []byte // the scanner's
	scratch []byte // texts that had to be unescaped
}

// Parse reads one message. It checks in the documented order and returns the first mistake as an
// *Error. It compares field names byte for byte and ignores unknown fields. The last one of a repeated
// field counts.
//
// The strings of the message point into body and into the Parser. They are valid until body is written
// to or Parse is called again. To keep one, also as the key of a map, copy it: see [Message.Clone].
func (p *Parser) Parse(body []byte) (Message, error) {
	if p.scratch = p.scratch[:0]; cap(p.scratch) > maxScratch {
		p.scratch = nil
	}
	s := scanner{body: bytes.TrimSpace(body), open: p.open[:0]}
	var f messageFields
	if s.hasFields() {
		f.scan(&s)
	}
	p.open = s.open
	if !s.done() {
		return Message{}, errNotObject
	}
	var m Message
	if err := p.check(&f, &m); err != nil {
		return Message{}, err
	}
	return m, nil
}

// messageFields are the known fields, as parts of the body.
type messageFields struct {
	token, topic, event, close, key value
	eventName, eventData, transient value
}

func (f *messageFields) scan(s *scanner) {
	for more := s.enter(); more; more = s.next() {
		switch string(s.name()) {
		case "token":
			f.token = s.value()
		case "topic":
			f.topic = s.value()
		case "event":
			f.scanEvent(s)
		case "close":
			f.close = s.value()
		case "idempotency_key":
			f.key = s.value()
		default:
			s.value()
		}
	}
}

func (f *messageFields) scanEvent(s *scanner) {
	f.eventName, f.eventData, f.transient = value{}, value{}, value{} // there may have been an event before
	if s.peek() != '{' {
		f.event = s.value()
		return
	}
	f.event.kind = kindObject
	for more := s.enter(); more; more = s.next() {
		switch string(s.name()) {
		case "name":
			f.eventName = s.value()
		case "data":
			f.eventData = s.value()
		case "transient":
			f.transient = s.value()
		default:
			s.value()
		}
	}
}

// check fills m from the fields, or returns the first failure.
func (p *Parser) check(f *messageFields, m *Message) *Error {
	if err := p.checkTarget(f, m); err != nil {
		return err
	}
	if err := p.checkEvent(f, m); err != nil {
		return err
	}
	switch f.close.kind {
	case kindTrue:
		m.Close = true
	case kindFalse, kindAbsent:
	default:
		return errClose
	}
	if f.key.kind != kindAbsent {
		m.IdempotencyKey = p.text(f.key)
		if m.IdempotencyKey == "" || len(m.IdempotencyKey) > MaxIdempotencyKeyBytes || m.Topic == "" {
			return errKey
		}
	}
	switch f.transient.kind {
	case kindAbsent, kindFalse:
	case kindTrue:
		if m.Transient = true; m.Topic == "" || m.Close || m.IdempotencyKey != "" {
			return errTransient
		}
	default:
		return errTransient
	}
	if m.Topic != "" && !m.HasEvent && !m.Close {
		return errNothing // most likely a field that is written wrong
	}
	return nil
}

func (p *Parser) checkTarget(f *messageFields, m *Message) *Error {
	switch {
	case f.token.kind != kindAbsent && f.topic.kind != kindAbsent:
		return errTarget
	case f.topic.kind != kindAbsent:
		if m.Topic = p.text(f.topic); !ValidTopic(m.Topic) {
			return errTopic
		}
	default:
		if m.Token = p.text(f.token); m.Token == "" {
			return errToken
		}
	}
	return nil
}

func (p *Parser) checkEvent(f *messageFields, m *Message) *Error {
	switch f.event.kind {
	case kindAbsent:
		return nil
	case kindObject, kindArray: // an array is an object without fields
	default:
		return errEvent
	}
	if f.eventData.kind != kindText {
		return errData
	}
	m.HasEvent, m.Data = true, p.text(f.eventData)
	switch f.eventName.kind {
	case kindAbsent:
		return nil
	case kindText:
	default:
		return errNameType
	}
	if m.Name = p.text(f.eventName); strings.ContainsAny(m.Name, "\r\n\x00") {
		return errName
	}
	return nil
}

// text gives a text as a string that lies in the body or in the scratch, and ""
// for a value that is none. If the scratch has to grow, the strings before this
// one stay in the old memory.
func (p *Parser) text(v value) string {
	switch {
	case v.kind != kindText:
		return ""
	case v.plain:
		return borrow(v.raw)
	}
	start := len(p.scratch)
	p.scratch = appendUnquoted(p.scratch, v.raw)
	return borrow(p.scratch[start:])
}

// borrow gives b as a string without a copy. The string is b's memory: it lives
// as long as b is not written to, which for b from a message is what
// [Parser.Parse] says.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
