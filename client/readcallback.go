package client

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// DefaultMaxCallback is the default of CallbackOptions.MaxBytes. A gateway takes
// 64 KiB of headers from a client; escaped as JSON they stay below this.
const DefaultMaxCallback = 1 << 20

// CallbackOptions are the settings of [ReadCallback]. Either Secrets or Unsigned is
// needed.
type CallbackOptions struct {
	// Secrets are those that the gateway may use: its --callback-secret, by which it
	// signs, or the "secret" in the query of its --callback-url. Give two while one takes
	// the place of the other.
	Secrets []string

	// Unsigned accepts callbacks of every caller that can reach the handler. For
	// development, and for listeners that only the gateway can reach.
	Unsigned bool

	// MaxBytes bounds the body. Default [DefaultMaxCallback].
	MaxBytes int64
}

// ReadCallback reads a callback in a handler of yours, to which the gateway's
// --callback-url leads, and checks that it comes from the gateway. It may be called
// concurrently.
//
// If it returns an error, it has answered the request: return from the handler. The
// error is for the log; it is a [*CallbackError].
//
// If it returns none, answer with any 2xx status to accept the stream. Answer with 401 or
// 403 to refuse it, or with 503 to have the client try again. The gateway waits 5 s by
// default, and ignores the body of the answer.
func ReadCallback(w http.ResponseWriter, r *http.Request, opts CallbackOptions) (Callback, error) {
	c, err := readCallback(w, r, opts)
	if e, ok := errors.AsType[*CallbackError](err); ok {
		answer(w, e)
	}
	return c, err
}

func readCallback(w http.ResponseWriter, r *http.Request, opts CallbackOptions) (Callback, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Callback{}, &CallbackError{Status: http.StatusMethodNotAllowed, Message: "Method not allowed"}
	}
	genuine, err := opts.authenticate(r)
	if err != nil {
		return Callback{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(opts.MaxBytes, DefaultMaxCallback)))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return Callback{}, &CallbackError{Status: http.StatusRequestEntityTooLarge, Message: "Body too large", Err: err}
	}
	switch media, _, mediaErr := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err != nil:
		return Callback{}, &CallbackError{Status: http.StatusBadRequest, Message: "Missing JSON body", Err: err}
	case !genuine(body):
		return Callback{}, unauthorized(ErrSignatureWrong)
	case mediaErr != nil || media != mediaJSON:
		return Callback{}, errNoBody
	}
	return ParseCallback(body)
}

var errWrongSecret = errors.New("client: the secret in the query is another one")

// authenticate returns how the body proves that the caller has a secret. What can be
// refused without the body is: only the gateway has MaxBytes read.
func (o CallbackOptions) authenticate(r *http.Request) (genuine func(body []byte) bool, err error) {
	switch secret := r.URL.Query().Get("secret"); {
	case o.Unsigned:
		return func([]byte) bool { return true }, nil
	case len(o.Secrets) == 0:
		return nil, &CallbackError{Status: http.StatusInternalServerError, Message: "Internal server error",
			Err: errors.New("client: CallbackOptions has neither Secrets nor Unsigned")}
	case secret != "" && !o.has(secret):
		return nil, unauthorized(errWrongSecret)
	case secret != "":
		return func([]byte) bool { return true }, nil
	}
	signature, err := ParseSignature(r.Header.Get(SignatureHeader), time.Now())
	if err != nil {
		return nil, unauthorized(err)
	}
	return func(body []byte) bool {
		signed, found := Signed{Method: r.Method, Target: target(r), Body: body}, false
		for _, secret := range o.Secrets {
			found = secret != "" && signature.Matches([]byte(secret), signed) || found
		}
		return found
	}, nil
}

// has compares in a time that does not depend on the secrets.
func (o CallbackOptions) has(secret string) (found bool) {
	sum := sha256.Sum256([]byte(secret))
	for _, known := range o.Secrets {
		want := sha256.Sum256([]byte(known))
		found = hmac.Equal(sum[:], want[:]) || found
	}
	return found
}

func unauthorized(cause error) *CallbackError {
	return &CallbackError{Status: http.StatusUnauthorized, Message: "Unauthorized", Err: cause}
}

// target is what the request line of a callback named. A proxy that is asked for whole
// URLs passes them on so.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func answer(w http.ResponseWriter, e *CallbackError) {
	body, _ := json.Marshal(struct { // strings always encode
		Error   string       `json:"error"`
		Details []FieldError `json:"details,omitempty"`
	}{e.Message, e.Details})
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(body, '\n'))
}
