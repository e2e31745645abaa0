package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

const callbackBody = `{"action":"connect","token":"t","request":{"url":"/a","headers":{"host":"h"}}}`

// reading counts what is read of a body.
type reading struct {
	*strings.Reader
	n int
}

func (r *reading) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	r.n += n
	return n, err
}

func TestReadCallback(t *testing.T) {
	t.Parallel()
	sign := func(key string) string {
		return wire.Sign([]byte(key), wire.Signed{Method: "POST", Target: "/cb?a=b", Body: []byte(callbackBody)}, time.Now())
	}
	old := wire.Sign([]byte("k1"), wire.Signed{Method: "POST", Target: "/cb?a=b", Body: []byte(callbackBody)}, time.Now().Add(-6*time.Minute))
	both := CallbackOptions{Secrets: []string{"k1", "k2"}}
	for name, tt := range map[string]struct {
		method, target, media, body, signature string
		opts                                   CallbackOptions
		status                                 int // 0: it is read
		cause                                  error
		unread                                 bool
	}{
		"signed":                 {"POST", "/cb?a=b", mediaJSON, callbackBody, sign("k1"), both, 0, nil, false},
		"by the next secret":     {"POST", "/cb?a=b", mediaJSON + "; charset=utf-8", callbackBody, sign("k2"), both, 0, nil, false},
		"secret in the query":    {"POST", "/cb?secret=k2", mediaJSON, callbackBody, "", both, 0, nil, false},
		"unsigned":               {"POST", "/cb", mediaJSON, callbackBody, "", CallbackOptions{Unsigned: true}, 0, nil, false},
		"by another secret":      {"POST", "/cb?a=b", mediaJSON, callbackBody, sign("k3"), both, 401, ErrSignatureWrong, false},
		"for another place":      {"POST", "/cb?a=c", mediaJSON, callbackBody, sign("k1"), both, 401, ErrSignatureWrong, false},
		"no secret matches none": {"POST", "/cb?a=b", mediaJSON, callbackBody, sign(""), CallbackOptions{Secrets: []string{""}}, 401, ErrSignatureWrong, false},
		"an old one":             {"POST", "/cb?a=b", mediaJSON, callbackBody, old, both, 401, ErrSignatureStale, true},
		"none":                   {"POST", "/cb?a=b", mediaJSON, callbackBody, "", both, 401, ErrSignatureForm, true},
		"wrong secret in query":  {"POST", "/cb?secret=k3", mediaJSON, callbackBody, "", both, 401, errWrongSecret, true},
		"not configured":         {"POST", "/cb", mediaJSON, callbackBody, "", CallbackOptions{}, 500, nil, true},
		"GET":                    {"GET", "/cb", mediaJSON, callbackBody, "", both, 405, nil, true},
		"too large":              {"POST", "/cb", mediaJSON, callbackBody, "", CallbackOptions{Unsigned: true, MaxBytes: 10}, 413, nil, false},
		"no JSON":                {"POST", "/cb", "text/plain", callbackBody, "", CallbackOptions{Unsigned: true}, 400, nil, false},
		"nothing":                {"POST", "/cb", mediaJSON, "", "", CallbackOptions{Unsigned: true}, 400, nil, false},
		"another action":         {"POST", "/cb", mediaJSON, `{"action":"x"}`, "", CallbackOptions{Unsigned: true}, 400, nil, false},
		"missing fields":         {"POST", "/cb", mediaJSON, `{"action":"connect"}`, "", CallbackOptions{Unsigned: true}, 400, nil, false},
	} {
		body := &reading{Reader: strings.NewReader(tt.body)}
		r := httptest.NewRequest(tt.method, tt.target, body)
		r.Header.Set("Content-Type", tt.media)
		if tt.signature != "" {
			r.Header.Set(SignatureHeader, tt.signature)
		}
		w := httptest.NewRecorder()
		c, err := ReadCallback(w, r, tt.opts)
		if tt.status == 0 {
			if err != nil || c.Token != "t" || w.Body.Len() > 0 {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
			continue
		}
		var answer struct {
			Error   string
			Details []FieldError
		}
		e, ok := errors.AsType[*CallbackError](err)
		if !ok || e.Status != tt.status || w.Code != tt.status || tt.cause != nil && !errors.Is(err, tt.cause) || tt.unread != (body.n == 0 && tt.body != "") {
			t.Errorf("%s: %v, answered %d after %d bytes", name, err, w.Code, body.n)
		}
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil || answer.Error != e.Message || len(answer.Details) != len(e.Details) {
			t.Errorf("%s: answered %s", name, w.Body)
		}
		if tt.status == http.StatusUnauthorized && strings.Contains(w.Body.String(), "signature") {
			t.Errorf("%s: the caller learns why: %s", name, w.Body)
		}
	}
}
