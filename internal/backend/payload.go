package backend

import (
	"bytes"
	"encoding/json"
	"mime"
	"strings"
	"unicode/utf8"

	"tidegate/internal/wire"
)

// maxEchoBytes bounds what an error repeats of an action or a URL.
const maxEchoBytes = 2048

// isJSON reports whether a Content-Type is JSON.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == mediaJSON || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// parseCallback reads the body of a callback. Its errors are answerable. Fields
// that the original contract does not have are read as far as they make sense
// and never make a callback invalid.
func parseCallback(body []byte) (wire.Callback, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || string(trimmed) == "null" {
		return wire.Callback{}, errNoBody
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return wire.Callback{}, errInvalidJSON
	}
	var c wire.Callback
	var v validator
	if err := v.action(fields["action"], &c.Action); err != nil {
		return wire.Callback{}, err
	}
	c.Token = v.text("token", fields["token"])
	v.request(fields["request"], &c.Request)
	if c.Action == wire.Disconnect {
		c.Reason = wire.Reason(v.text("reason", fields["reason"]))
		_ = json.Unmarshal(fields["detail"], &c.Detail)
		_ = json.Unmarshal(fields["undelivered"], &c.Undelivered)
		var ms int64
		if json.Unmarshal(fields["duration_ms"], &ms) == nil {
			c.DurationMS = &ms
		}
	}
	if len(v.details) > 0 {
		e := badRequest("Invalid payload")
		e.Details = v.details
		return wire.Callback{}, e
	}
	return c, nil
}

// validator collects everything that is wrong with a payload.
type validator struct{ details []fieldError }

func (v *validator) fail(field, message string) {
	v.details = append(v.details, fieldError{field, message})
}

// action is checked before all else: what the other fields must be depends on it.
func (v *validator) action(raw json.RawMessage, action *wire.Action) error {
	name := "None" // what the original service says when there is no action
	if isPresent(raw) {
		if json.Unmarshal(raw, &name) != nil {
			v.fail("action", "must be a string")
			e := badRequest("Invalid payload")
			e.Details = v.details
			return e
		}
		*action = wire.Action(name)
	}
	if *action != wire.Connect && *action != wire.Disconnect {
		return badRequest("Unknown action: %s", cut(name, maxEchoBytes))
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

func (v *validator) request(raw json.RawMessage, request *wire.Request) {
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
}

// headers are optional. A list of strings is as good as one string: some
// gateways send set-cookie so, and a client must not be able to spoil its own
// connect by a header. Errors do not name the header.
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
