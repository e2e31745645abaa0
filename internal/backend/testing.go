package backend

import (
	"encoding/json"
	"net/http"

	"tidegate/internal/wire"
	"tidegate/task"
)

// The endpoints below /api/testing/ let a browser test drive a server. They exist in
// testing mode only. They accept the bodies of tests that were written for the replaced
// service: unknown fields are ignored.

// demoTypes returns the kinds of task that a test can start.
func demoTypes() []task.Type { return []task.Type{task.Demo(), task.Failing()} }

// startTestTask is POST /api/testing/tasks/start.
func (h *restHandlers) startTestTask(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		TaskType *string         `json:"task_type"`
		Params   json.RawMessage `json:"params"`
	}
	if err := readBody(w, r, &body, ignoreUnknown); err != nil {
		return err
	}
	name := "None" // the text of the replaced service
	if body.TaskType != nil {
		name = *body.TaskType
	}
	for _, demo := range demoTypes() {
		if demo.Name != name {
			continue
		}
		info, err := h.start(r.Context(), name, body.Params)
		if err != nil {
			return err
		}
		answer := started(info)
		if h.rights.Required { // otherwise the answer is that of the replaced service
			if answer.Access, err = h.rights.sign(info.ID); err != nil {
				return err
			}
		}
		wire.WriteJSON(w, http.StatusOK, answer)
		return nil
	}
	return badRequest("Unknown task type: %s", cut(name, maxEchoBytes))
}

// publishTestVersion is POST /api/testing/deployments/version.
func (h *restHandlers) publishTestVersion(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Version
		RequestID string `json:"request_id"`
	}
	if err := readBody(w, r, &body, ignoreUnknown); err != nil {
		return err
	}
	if err := checkID("request_id", body.RequestID); err != nil {
		return badRequest("%s", problem(err))
	}
	receivers, err := h.announce(r, body.RequestID, body.Version)
	if err != nil {
		return err
	}
	status := "queued"
	if receivers > 0 {
		status = "delivered"
	}
	wire.WriteJSON(w, http.StatusAccepted, struct {
		RequestID string `json:"requestId"`
		Delivered bool   `json:"delivered"`
		Status    string `json:"status"`
	}{body.RequestID, receivers > 0, status})
	return nil
}

// noTesting answers requests below /api/testing/ in every other mode.
func (h *restHandlers) noTesting(w http.ResponseWriter, _ *http.Request) {
	wire.WriteJSON(w, http.StatusBadRequest, struct {
		Error   string            `json:"error"`
		Code    wire.Code         `json:"code"`
		Details map[string]string `json:"details"`
	}{
		"This endpoint is only available when the server is running in testing mode",
		wire.CodeRouteNotAvailable,
		map[string]string{"message": "Testing endpoints require --mode testing"},
	})
}
