package wire

import (
	"net/http"
	"strconv"
)

// KeyHeader is the header that counts as the idempotency_key of a message.
const KeyHeader = "Idempotency-Key"

// HeaderKey returns the key in the header of a request, "" for none.
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

// SetKey sets the key of m to the one in the header of its request.
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

// SetLineKey sets the key of m, which is a line of a batch, to one made of the key in the header of
// the request and the number of the line. A key in the line itself counts instead.
func (m *Message) SetLineKey(key string, line int) error {
	switch {
	case key == "":
		return nil
	case m.Transient:
		return errTransient
	case m.Topic == "":
		return errKeys
	case m.IdempotencyKey == "":
		m.IdempotencyKey = key + "\x00" + strconv.Itoa(line) // a header cannot have a NUL
	}
	return nil
}
