package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tidegate/internal/wire"
	"tidegate/task"
)

// Bounds of GET /api/tasks.
const (
	maxPage             = 1000
	maxListedResultSize = 4 << 10 // the list omits larger results
)

// startTask is POST /api/tasks.
func (h *restHandlers) startTask(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Type   string          `json:"type"`
		Params json.RawMessage `json:"params"`
	}
	if err := readBody(w, r, &body, refuseUnknown); err != nil {
		return err
	}
	if body.Type == "" {
		return badRequest("Field type is required")
	}
	info, err := h.start(r.Context(), body.Type, body.Params)
	if err != nil {
		return err
	}
	answer := started(info)
	if answer.Access, err = h.rights.sign(info.ID); err != nil {
		return err
	}
	w.Header().Set("Location", "/api/tasks/"+url.PathEscape(info.ID))
	wire.WriteJSON(w, http.StatusAccepted, answer)
	return nil
}

func (h *restHandlers) start(ctx context.Context, typ string, params json.RawMessage) (task.Info, error) {
	info, err := h.service.Start(ctx, typ, params)
	if errors.Is(err, task.ErrUnknownType) {
		return info, badRequest("Unknown task type: %s", cut(typ, maxEchoBytes))
	}
	return info, err
}

// startedAnswer is the answer to a start.
type startedAnswer struct {
	TaskID    string     `json:"task_id"`
	StreamURL string     `json:"stream_url"`
	Status    task.State `json:"status"`
	Access    string     `json:"access,omitempty"` // token for reading the task
}

func started(info task.Info) startedAnswer {
	return startedAnswer{TaskID: info.ID, StreamURL: "/api/sse/tasks?task_id=" + url.QueryEscape(info.ID), Status: info.Status}
}

// listedTask is a task in the list: that of GET /api/tasks/{id} without a large result.
type listedTask struct {
	task.Info
	ResultOmitted bool `json:"result_omitted,omitzero"`
}

// listTasks is GET /api/tasks.
func (h *restHandlers) listTasks(w http.ResponseWriter, r *http.Request) error {
	if err := h.rights.mayList(r); err != nil {
		return err
	}
	filter, err := parseFilter(r.URL.Query())
	if err != nil {
		return err
	}
	infos, next := h.service.List(filter)
	page := struct {
		Tasks []listedTask `json:"tasks"`
		Next  string       `json:"next,omitempty"`
	}{Tasks: make([]listedTask, len(infos)), Next: next}
	for i, info := range infos {
		page.Tasks[i].Info = info
		page.Tasks[i].ResultOmitted = info.Partial
		if len(info.Result) > maxListedResultSize {
			page.Tasks[i].Result, page.Tasks[i].ResultOmitted = nil, true
		}
	}
	wire.WriteJSON(w, http.StatusOK, page)
	return nil
}

func parseFilter(query url.Values) (task.Filter, error) {
	filter := task.Filter{
		State: task.State(query.Get("status")),
		Type:  query.Get("type"),
		After: query.Get("after"),
	}
	if filter.State != "" && !slices.Contains(task.States(), filter.State) {
		return filter, badRequest("status must be one of %s", strings.Trim(fmt.Sprint(task.States()), "[]"))
	}
	if limit := query.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > maxPage {
			return filter, badRequest("limit must be 1 to %d", maxPage)
		}
		filter.Limit = n
	}
	return filter, nil
}

// showTask is GET /api/tasks/{id} and GET /api/tasks/{id}/status.
func (h *restHandlers) showTask(w http.ResponseWriter, r *http.Request) error {
	info, result, err := h.service.Open(r.Context(), r.PathValue("id"))
	if errors.Is(err, task.ErrNotFound) {
		return &answerableError{status: http.StatusNotFound, Message: "Task not found"}
	}
	if err != nil {
		return err
	}
	return h.writeTask(w, r, info, result)
}

// doneAnswer is the answer to cancel and remove.
type doneAnswer struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

// cancelTask is POST /api/tasks/{id}/cancel.
func (h *restHandlers) cancelTask(w http.ResponseWriter, r *http.Request) error {
	err := h.service.Cancel(r.Context(), r.PathValue("id"))
	if errors.Is(err, task.ErrNotFound) {
		return &answerableError{status: http.StatusNotFound, Message: "Task not found or cannot be cancelled"}
	}
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, doneAnswer{true, "Task cancellation requested"})
	return nil
}

// removeTask is DELETE /api/tasks/{id}.
func (h *restHandlers) removeTask(w http.ResponseWriter, r *http.Request) error {
	err := h.service.Remove(r.Context(), r.PathValue("id"))
	if errors.Is(err, task.ErrNotFound) {
		return &answerableError{status: http.StatusNotFound, Message: "Task not found or not completed"}
	}
	if err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, doneAnswer{true, "Task removed from registry"})
	return nil
}
