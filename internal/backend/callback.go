package backend

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/limit"
	"tidegate/internal/peer"
	"tidegate/internal/wire"
	"tidegate/task"
)

// maxCallbackBytes bounds the body of a callback. The gateway accepts 64 KiB of headers
// from a client; escaped as JSON they stay below this.
const maxCallbackBytes = 1 << 20

// callbackHandler is the endpoint that the gateway posts to. It answers
//
//	200 {}                                        both actions
//	400 {"error":"Missing JSON body"}             no body, JSON null, or not application/json
//	400 {"error":"Invalid JSON"}                  malformed, or not an object
//	400 {"error":"Unknown action: X"}
//	400 {"error":"Invalid payload","details":[{"field":…,"message":…}]}
//	400 {"error":"Cannot route URL: …"}           connect only
//	401 {"error":"Unauthorized"}
//	405 {"error":"Method not allowed"}            with Allow
//	413 {"error":"Body too large"}                above 1 MiB
//	500 {"error":"Internal server error"}
//	503 {"error":"Gateway unavailable"}           connect only, with Retry-After
//
// and never repeats a header or another value of the request, apart from the
// action and the URL in the two errors above.
type callbackHandler struct {
	manager *manager
	secrets *access.Secrets
	auth    bool // whether callbacks must carry a secret or a signature
	metrics *metrics
	log     *slog.Logger
	// refusals counts callers without the secret, for the log.
	refusals *limit.Tally
}

func (h *callbackHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	action := "none"
	defer func() { h.metrics.callbackDuration.WithLabelValues(action).Observe(time.Since(began).Seconds()) }()
	defer recoverPanic(w, h.log)
	c, err := h.read(w, r)
	if err == nil {
		action = string(c.Action)
		err = h.handle(r, c)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	wire.WriteJSON(w, http.StatusOK, struct{}{})
}

// read authenticates the caller and parses the body, in this order: a caller without the
// secret learns nothing about the rest.
func (h *callbackHandler) read(w http.ResponseWriter, r *http.Request) (client.Callback, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return client.Callback{}, errMethod
	}
	genuine, err := h.authenticate(r)
	if err != nil {
		h.refusals.Add(string(wire.CodeUnauthorized), peer.AddrOf(r.RemoteAddr), "cause", err)
		return client.Callback{}, errUnauthorized
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallbackBytes))
	if e := bounded(err); e != nil {
		return client.Callback{}, e
	}
	if !genuine(body) {
		h.refusals.Add(string(wire.CodeUnauthorized), peer.AddrOf(r.RemoteAddr), "cause", client.ErrSignatureWrong)
		return client.Callback{}, errUnauthorized
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return client.Callback{}, errBodyTooLarge
	}
	if err != nil || !isJSON(r.Header.Get("Content-Type")) {
		return client.Callback{}, errNoBody
	}
	return client.ParseCallback(body)
}

// authenticate returns how the body proves that the caller has the secret. What can be
// refused without the body is: only the gateway has 1 MiB read.
func (h *callbackHandler) authenticate(r *http.Request) (genuine func(body []byte) bool, err error) {
	if !h.auth {
		return func([]byte) bool { return true }, nil
	}
	if secret := r.URL.Query().Get("secret"); secret != "" {
		if !h.secrets.Match([]byte(secret)) {
			return nil, errWrongSecret
		}
		return func([]byte) bool { return true }, nil
	}
	signature, err := client.ParseSignature(r.Header.Get(client.SignatureHeader), time.Now())
	if err != nil {
		return nil, err
	}
	return func(body []byte) bool {
		signed, found := client.Signed{Method: r.Method, Target: target(r), Body: body}, false
		for _, secret := range h.secrets.All() {
			found = signature.Matches([]byte(secret), signed) || found
		}
		return found
	}, nil
}

var errWrongSecret = errors.New("wrong secret in the query")

// target returns the path and query of the request line. A proxy may pass on a whole URL
// there.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

func (h *callbackHandler) handle(r *http.Request, c client.Callback) error {
	if c.Action == client.Disconnect {
		h.manager.disconnect(c)
		return nil
	}
	return h.manager.connect(r.Context(), c)
}

// refuse answers with the status and text of err.
func (h *callbackHandler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if err == errUnauthorized {
		access.LeaveBody(w, r)
	}
	if e, ok := errors.AsType[*client.CallbackError](err); ok {
		err = &answerableError{status: e.Status, Message: e.Message, Details: e.Details}
	}
	if e, ok := errors.AsType[*answerableError](err); ok {
		wire.WriteJSON(w, e.status, e)
		return
	}
	h.log.Error("callback failed", "cause", err)
	if unavailable(err) {
		writeUnavailable(w)
		return
	}
	wire.WriteJSON(w, http.StatusInternalServerError, errInternal)
}

// answerableError is an error that is sent to the caller as it is.
type answerableError struct {
	status  int
	Message string              `json:"error"`
	Code    wire.Code           `json:"code,omitempty"`
	Details []client.FieldError `json:"details,omitempty"`
}

func (e *answerableError) Error() string { return e.Message }

func badRequest(format string, args ...any) *answerableError {
	return &answerableError{status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

var (
	errMethod       = &answerableError{status: http.StatusMethodNotAllowed, Message: "Method not allowed"}
	errUnauthorized = &answerableError{status: http.StatusUnauthorized, Message: "Unauthorized"}
	errNoBody       = badRequest("Missing JSON body")
	errInvalidJSON  = badRequest("Invalid JSON")
	errBodyTooLarge = &answerableError{status: http.StatusRequestEntityTooLarge, Message: "Body too large"}
	errInternal     = &answerableError{status: http.StatusInternalServerError, Message: "Internal server error"}
)

// errBusy is wrapped by errors that ask the client to try again later, because a
// bound of this process is reached.
var errBusy = errors.New("too much to do")

// unavailable reports whether err will pass: the gateway cannot be reached, or refuses for
// now.
func unavailable(err error) bool {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Status == http.StatusServiceUnavailable && e.Code != ""
	}
	return errors.Is(err, client.ErrUnreachable) || errors.Is(err, task.ErrUnavailable) || errors.Is(err, errBusy)
}

func writeUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	wire.WriteJSON(w, http.StatusServiceUnavailable,
		&answerableError{Message: "Gateway unavailable"})
}

// recoverPanic, deferred, turns a panic of a handler into a 500 and a log record.
func recoverPanic(w http.ResponseWriter, log *slog.Logger) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	log.Error("panic in a handler", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	wire.WriteJSON(w, http.StatusInternalServerError, errInternal)
}
