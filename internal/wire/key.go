package wire

import (
	"net/http"
	"strconv"
)

// KeyHeader is the header that counts as the idempotency_key of a message.
const KeyHeader = "Idempotency-Key"

// HeaderKey is the key that a request has in its header, "" for none.
func HeaderKey(h http.Header) (string, error) {
	values := h[KeyHeader]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] == "" || len(values[0]) > MaxIdempotencyKeyBytes:
		return "", errKeys
	}
	return values[0], nil
}

// SetKey gives m the key of its request's header.
func (m *Message) SetKey(key string) error {
	switch {
	case key == "":
		return nil
	case m.Transient:
		return errTransient
	case m.Topic == "", m.IdempotencyKey != "" && m.IdempotencyKey != key:
		return errKeys
	}
	m.IdempotencyKey = key
	return nil
}

// SetLineKey gives m, which is line number line of a batch, a key of its own made
// of the one in the request's header. A key in the line itself goes first.
func (m *Message) SetLineKey(key string, line int) error {
	switch {
	case key == "":
		return nil
	case m.Transient:
		return errTransient
	case m.Topic == "":
		return errKeys
	case m.IdempotencyKey == "":
		m.IdempotencyKey = key + "\x00" + strconv.Itoa(line) // no header has a NUL
	}
	return nil
}
