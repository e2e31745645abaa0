package backend

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"tidegate/internal/wire"
	"tidegate/task"
)

// restHandlers are the public endpoints. Each failure is JSON, {"error":"…"}.
type restHandlers struct {
	service  *task.Service
	rights   *rights
	versions *versions
	testing  bool // whether /api/testing/ exists
	log      *slog.Logger
}

// endpoint is one row of the table of routes. Its handler returns an error only if it has
// not answered.
type endpoint struct {
	method, path string
	handle       func(w http.ResponseWriter, r *http.Request) error
}

func (h *restHandlers) endpoints() []endpoint {
	rows := []endpoint{
		{"POST", "/api/tasks", h.startTask},
		{"GET", "/api/tasks", h.listTasks},
		{"GET", "/api/tasks/{id}", h.showTask},
		{"GET", "/api/tasks/{id}/status", h.showTask},
		{"POST", "/api/tasks/{id}/cancel", h.cancelTask},
		{"DELETE", "/api/tasks/{id}", h.removeTask},
		{"POST", "/api/versions", h.publishVersion},
		{"GET", "/api/version", h.showVersion},
	}
	if h.testing {
		rows = append(rows,
			endpoint{"POST", "/api/testing/tasks/start", h.startTestTask},
			endpoint{"POST", "/api/testing/deployments/version", h.publishTestVersion})
	}
	return rows
}

// mayUse checks the right to read a task at the endpoints that read one. The server in
// front decides who may change tasks.
func (h *restHandlers) mayUse(e endpoint, r *http.Request) error {
	if e.method != http.MethodGet || !strings.HasPrefix(e.path, "/api/tasks/{id}") {
		return nil
	}
	return h.rights.mayRead(r, r.PathValue("id"))
}

// mux serves the endpoints, and answers all other paths in JSON as well.
func (h *restHandlers) mux() http.Handler {
	mux := http.NewServeMux()
	allow := map[string][]string{}
	for _, e := range h.endpoints() {
		allow[e.path] = append(allow[e.path], e.method)
		mux.HandleFunc(e.method+" "+e.path, func(w http.ResponseWriter, r *http.Request) {
			err := h.mayUse(e, r)
			if err == nil {
				err = e.handle(w, r)
			}
			if err != nil {
				h.refuse(w, err)
			}
		})
	}
	for path, methods := range allow {
		if slices.Contains(methods, "GET") {
			methods = append(methods, "HEAD")
		}
		slices.Sort(methods)
		list := strings.Join(methods, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", list)
			h.refuse(w, errMethod)
		})
	}
	if !h.testing {
		mux.HandleFunc("/api/testing/", h.noTesting)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.refuse(w, errNoRoute) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer recoverPanic(w, h.log)
		mux.ServeHTTP(w, r)
	})
}

var (
	errNoRoute      = &answerableError{status: http.StatusNotFound, Message: "Not found"}
	errStopping     = &answerableError{status: http.StatusServiceUnavailable, Message: "Stopping: no new tasks are taken"}
	errAway         = &answerableError{status: http.StatusServiceUnavailable, Message: "The store of tasks is not available: try again later"}
	errTooManyTasks = &answerableError{status: http.StatusServiceUnavailable, Message: "Too many tasks: try again later"}
)

// refuse answers with the status and text of err. Only here do errors become statuses.
func (h *restHandlers) refuse(w http.ResponseWriter, err error) {
	answer, ok := errors.AsType[*answerableError](err)
	switch {
	case ok:
	case errors.Is(err, task.ErrStopping):
		answer = errStopping
	case errors.Is(err, task.ErrBusy):
		answer = errTooManyTasks
	case errors.Is(err, task.ErrUnavailable):
		h.log.Warn("request failed", "cause", err)
		answer = errAway
	case errors.Is(err, task.ErrBadParams):
		text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "task: "), "\n", "; ")
		answer = badRequest("%s", cut(text, maxEchoBytes))
	case unavailable(err):
		h.log.Warn("request failed", "cause", err)
		writeUnavailable(w)
		return
	default:
		h.log.Error("request failed", "cause", err)
		answer = errInternal
	}
	if answer.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tidegate"`)
	}
	if answer.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	wire.WriteJSON(w, answer.status, answer)
}

// publishVersion is POST /api/versions.
func (h *restHandlers) publishVersion(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Version
		RequestID *string `json:"request_id"`
	}
	if err := readBody(w, r, &body, refuseUnknown); err != nil {
		return err
	}
	requestID := "" // all streams
	if body.RequestID != nil {
		requestID = *body.RequestID
		if err := checkID("request_id", requestID); err != nil {
			return badRequest("%s", problem(err))
		}
	}
	receivers, err := h.announce(r, requestID, body.Version)
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusAccepted, struct {
		Delivered bool `json:"delivered"`
		Receivers int  `json:"receivers"`
	}{receivers > 0, receivers})
	return nil
}

func (h *restHandlers) announce(r *http.Request, requestID string, v Version) (receivers int, err error) {
	if err := v.check(); err != nil {
		return 0, badRequest("%s", err)
	}
	return h.versions.publish(r.Context(), requestID, v)
}

// problem returns the text of a routing error without that of errNotRoutable.
func problem(err error) string {
	return strings.TrimPrefix(err.Error(), errNotRoutable.Error()+": ")
}

// showVersion is GET /api/version.
func (h *restHandlers) showVersion(w http.ResponseWriter, r *http.Request) error {
	v, ok, err := h.versions.newest(r.Context())
	if err != nil {
		return err
	}
	if !ok {
		return &answerableError{status: http.StatusNotFound, Message: "No version known"}
	}
	wire.WriteJSON(w, http.StatusOK, v)
	return nil
}
