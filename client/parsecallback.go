package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// maxEchoBytes bounds what an error repeats of an action.
const maxEchoBytes = 2048

// What a callback may be refused for as a whole. See [ParseCallback].
var (
	errNoBody      = &CallbackError{Status: http.StatusBadRequest, Message: "Missing JSON body"}
	errInvalidJSON = &CallbackError{Status: http.StatusBadRequest, Message: "Invalid JSON"}
)

// ParseCallback reads the body of a callback, for programs that have read and checked
// it by themselves: see [Verify]. Others use [ReadCallback]. The error is a
// [*CallbackError] with status 400. Fields that a gateway need not send never make a
// callback invalid.
func ParseCallback(body []byte) (Callback, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || string(trimmed) == "null" {
		return Callback{}, errNoBody
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return Callback{}, errInvalidJSON
	}
	var c Callback
	var v validator
	if err := v.action(fields["action"], &c.Action); err != nil {
		return Callback{}, err
	}
	c.Token = v.text("token", fields["token"])
	v.request(fields["request"], &c.Request)
	_ = json.Unmarshal(fields["gateway"], &c.Gateway)
	if c.Action == Disconnect {
		c.Reason = Reason(v.text("reason", fields["reason"]))
		c.addOptional(fields)
	}
	if len(v.details) > 0 {
		return Callback{}, v.invalid()
	}
	return c, nil
}

// addOptional reads the fields of a disconnect that need not be there, as far as they
// make sense.
func (c *Callback) addOptional(fields map[string]json.RawMessage) {
	_ = json.Unmarshal(fields["detail"], &c.Detail)
	_ = json.Unmarshal(fields["undelivered"], &c.Undelivered)
	_ = json.Unmarshal(fields["redelivered"], &c.Redelivered)
	var ms int64
	if json.Unmarshal(fields["duration_ms"], &ms) == nil {
		c.Duration = time.Duration(ms) * time.Millisecond
	}
}

// validator collects everything that is wrong with a callback.
type validator struct{ details []FieldError }

func (v *validator) fail(field, message string) {
	v.details = append(v.details, FieldError{field, message})
}

func (v *validator) invalid() *CallbackError {
	return &CallbackError{Status: http.StatusBadRequest, Message: "Invalid payload", Details: v.details}
}

// action is checked before all else: what the other fields must be depends on it.
func (v *validator) action(raw json.RawMessage, action *Action) error {
	name := "None" // what receivers of the first gateway say when there is no action
	if isPresent(raw) {
		if json.Unmarshal(raw, &name) != nil {
			v.fail("action", "must be a string")
			return v.invalid()
		}
		*action = Action(name)
	}
	if *action != Connect && *action != Disconnect {
		return &CallbackError{Status: http.StatusBadRequest, Message: fmt.Sprintf("Unknown action: %s", cut(name, maxEchoBytes))}
	}
	return nil
}

// text is a required string that must not be empty.
func (v *validator) text(field string, raw json.RawMessage) string {
	var s string
	switch {
	case !isPresent(raw):
		v.fail(field, "is required")
	case json.Unmarshal(raw, &s) != nil:
		v.fail(field, "must be a string")
	case s == "":
		v.fail(field, "must not be empty")
	}
	return s
}

func (v *validator) request(raw json.RawMessage, request *Request) {
	var fields map[string]json.RawMessage
	switch {
	case !isPresent(raw):
		v.fail("request", "is required")
		return
	case json.Unmarshal(raw, &fields) != nil:
		v.fail("request", "must be an object")
		return
	}
	request.URL = v.text("request.url", fields["url"])
	request.Headers = v.headers(fields["headers"])
	_ = json.Unmarshal(fields["method"], &request.Method)
	_ = json.Unmarshal(fields["remote_addr"], &request.RemoteAddr)
}

// headers are optional. A list of strings is as good as one string: some gateways send
// set-cookie so. No header may make a connect invalid, because clients choose them. Errors
// do not name the header.
func (v *validator) headers(raw json.RawMessage) map[string]string {
	headers := map[string]string{}
	if !isPresent(raw) {
		return headers
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		v.fail("request.headers", "must be an object")
		return headers
	}
	for name, rawValue := range fields {
		var one string
		var many []string
		switch {
		case string(rawValue) == "null" || json.Unmarshal(rawValue, &one) != nil && json.Unmarshal(rawValue, &many) != nil:
			v.fail("request.headers", "every value must be a string or a list of strings")
			return headers
		case many != nil:
			one = strings.Join(many, ", ")
		}
		headers[strings.ToLower(name)] = one
	}
	return headers
}

// isPresent reports whether a field is there and not null.
func isPresent(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null"
}

// cut shortens s to at most limit bytes, at the border of a rune.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
