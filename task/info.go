package task

import (
	"encoding/json"
	"time"
)

// Info is what is known of a task at one moment. It encodes to the JSON that
// status endpoints answer with.
type Info struct {
	ID        string          `json:"task_id"`
	Type      string          `json:"type"`
	Status    State           `json:"status"`
	StartTime *time.Time      `json:"start_time"` // nil until it ran
	EndTime   *time.Time      `json:"end_time"`   // nil until it is final
	Result    json.RawMessage `json:"result"`     // of a completed task, whole; must not be modified
	Error     *string         `json:"error"`      // of a failed task, whole
	Progress  *ProgressInfo   `json:"progress"`   // the latest; nil if there was none
	CreatedAt time.Time       `json:"created_at"`

	Key      string   `json:"key,omitzero"` // of [StartOptions]
	Priority Priority `json:"priority,omitzero"`

	// RunAt is the time before which a pending task is not begun, because its start
	// is delayed or an attempt has failed. Nil if it may begin at once.
	RunAt *time.Time `json:"run_at,omitempty"`

	// Of a task that may be run more than once; else 0.
	Attempt     int `json:"attempt,omitzero"`
	MaxAttempts int `json:"max_attempts,omitzero"`

	// Repeated says that StartWith has found a task with the key.
	Repeated bool `json:"-"`

	// Partial says that List left out the result or a part of the error; Get
	// has them.
	Partial bool `json:"-"`
}

// infoOf is what a record says.
func infoOf(rec Record) Info {
	info := Info{ID: rec.ID, Type: rec.Type, Status: rec.State, CreatedAt: rec.Created, Key: rec.Key, Priority: rec.Priority, Result: rec.Result, Progress: rec.Progress}
	if !rec.Started.IsZero() {
		info.StartTime = &rec.Started
	}
	if !rec.Ended.IsZero() {
		info.EndTime = &rec.Ended
	}
	if rec.State == Pending && !rec.RunAt.IsZero() {
		info.RunAt = &rec.RunAt
	}
	if rec.State == Failed {
		info.Error = &rec.Error
	}
	if rec.MaxAttempts > 1 {
		info.Attempt, info.MaxAttempts = rec.Attempt, rec.MaxAttempts
	}
	info.Partial = rec.Partial
	return info
}

// ProgressInfo is the latest progress of a task. It encodes to the data of the
// event that reported it: text, value and the fields of [Progress].
type ProgressInfo struct {
	Text  string
	Value float64
	Data  json.RawMessage // the whole object; must not be modified
}

// MarshalJSON returns Data.
func (p ProgressInfo) MarshalJSON() ([]byte, error) { return p.Data, nil }

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *ProgressInfo) UnmarshalJSON(b []byte) error {
	var head struct {
		Text  string  `json:"text"`
		Value float64 `json:"value"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	*p = ProgressInfo{Text: head.Text, Value: head.Value, Data: append(json.RawMessage(nil), b...)}
	return nil
}
