package taskstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"tidegate/task"
)

// maxStoredProgress bounds the latest progress in a record, in bytes. Of a larger one the record
// has the value and the beginning of the text; its event has all of it.
const maxStoredProgress = 64 << 10

// taskRecord is the stored form of a task.Record, JSON. Large parts are objects instead, of
// which it has the names.
type taskRecord struct {
	Type        string          `json:"type"`
	Seq         uint64          `json:"seq,omitzero"` // 0 in the first version: its sequence number in the stream
	Params      json.RawMessage `json:"params,omitempty"`
	Key         string          `json:"key,omitzero"`
	Content     string          `json:"content,omitzero"`
	Priority    task.Priority   `json:"priority,omitzero"`
	RunAt       time.Time       `json:"run_at,omitzero"`
	State       task.State      `json:"state"`
	Run         int             `json:"run,omitzero"`
	Attempt     int             `json:"attempt,omitzero"`
	MaxAttempts int             `json:"max_attempts"`
	Worker      string          `json:"worker,omitzero"`
	Cancel      bool            `json:"cancel,omitzero"`
	Deadline    time.Time       `json:"deadline,omitzero"`
	Progress    json.RawMessage `json:"progress,omitempty"`
	ProgressAt  time.Time       `json:"progress_at,omitzero"`
	Result      json.RawMessage `json:"result,omitempty"`
	Error       string          `json:"error,omitzero"`
	Created     time.Time       `json:"created"`
	Started     time.Time       `json:"started,omitzero"`
	Ended       time.Time       `json:"ended,omitzero"`
	Keep        time.Duration   `json:"keep,omitzero"`
	Parts       taskParts       `json:"parts,omitzero"`
}

// taskParts are the names of the objects that hold parts of a record; "" if the
// record has it itself, or there is none.
type taskParts struct {
	Params string `json:"params,omitzero"`
	Result string `json:"result,omitzero"`
	Error  string `json:"error,omitzero"`
}

func (p taskParts) names() (names []string) {
	for _, name := range []string{p.Params, p.Result, p.Error} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// taskObject is a part of a record on its way into the object store.
type taskObject struct {
	name string
	data []byte
}

// encodeTask encodes a record. Parts of more than inline bytes are returned as objects.
func encodeTask(rec task.Record, inline int) (payload []byte, parts taskParts, objects []taskObject, err error) {
	stored := taskRecord{
		Type: rec.Type, Seq: rec.Seq, Params: rec.Params, Key: rec.Key, Content: rec.Content, Priority: rec.Priority, RunAt: rec.RunAt, State: rec.State, Run: rec.Run,
		Attempt: rec.Attempt, MaxAttempts: rec.MaxAttempts, Worker: rec.Worker, Cancel: rec.Cancel,
		Deadline: rec.Deadline, ProgressAt: rec.ProgressAt, Result: rec.Result, Error: rec.Error,
		Created: rec.Created, Started: rec.Started, Ended: rec.Ended, Keep: rec.Retention,
	}
	if rec.Progress != nil {
		stored.Progress = boundedProgress(*rec.Progress, min(inline, maxStoredProgress))
	}
	aside := func(part string, data []byte) string {
		sum := sha256.Sum256(data)
		name := rec.ID + "." + part + "." + hex.EncodeToString(sum[:8])
		objects = append(objects, taskObject{name, data})
		return name
	}
	if len(rec.Params) > inline {
		stored.Params, stored.Parts.Params = nil, aside("params", rec.Params)
	}
	if len(rec.Result) > inline {
		stored.Result, stored.Parts.Result = nil, aside("result", rec.Result)
	}
	if tooLongInline(rec.Error, inline) {
		stored.Error, stored.Parts.Error = "", aside("error", []byte(rec.Error))
	}
	if payload, err = plainJSON(stored); err != nil {
		return nil, taskParts{}, nil, fmt.Errorf("encode task: %w", err)
	}
	return payload, stored.Parts, objects, nil
}

// plainJSON encodes without the escapes for HTML: results have to stay as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// escapedFactor is how much longer text can become in JSON: a byte that is not
// printable, or not UTF-8, has six.
const escapedFactor = 6

// tooLongInline reports whether text has more than limit bytes as a part of a record.
func tooLongInline(text string, limit int) bool {
	if len(text) <= limit/escapedFactor || len(text) > limit {
		return len(text) > limit
	}
	data, _ := plainJSON(text) // strings always encode
	return len(data) > limit
}

// boundedProgress is the data of p, or if that is too large only its value and the beginning of
// its text.
func boundedProgress(p task.ProgressInfo, limit int) json.RawMessage {
	if len(p.Data) <= limit {
		return p.Data
	}
	text := prefix(p.Text, limit/(escapedFactor+2)) // with room for the rest
	data, _ := json.Marshal(struct {                // strings and numbers always encode
		Text      string  `json:"text"`
		Value     float64 `json:"value"`
		Truncated bool    `json:"truncated"`
	}{text, p.Value, true})
	return data
}

// prefix is the longest beginning of s of at most n bytes that ends with a whole rune.
func prefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// decodeTask is the inverse of encodeTask, but for the parts that are objects.
func decodeTask(id string, seq uint64, payload []byte) (task.Record, taskParts, error) {
	var stored taskRecord
	if err := json.Unmarshal(payload, &stored); err != nil {
		return task.Record{}, taskParts{}, fmt.Errorf("decode task %s: %w", id, err)
	}
	rec := task.Record{
		ID: id, Type: stored.Type, Params: stored.Params, Seq: stored.Seq, Revision: seq,
		Key: stored.Key, Content: stored.Content, Priority: stored.Priority, RunAt: stored.RunAt, State: stored.State, Run: stored.Run, Attempt: stored.Attempt, MaxAttempts: stored.MaxAttempts,
		Worker: stored.Worker, Cancel: stored.Cancel, Deadline: stored.Deadline,
		ProgressAt: stored.ProgressAt, Result: stored.Result, Error: stored.Error,
		Created: stored.Created, Started: stored.Started, Ended: stored.Ended, Retention: stored.Keep,
	}
	if rec.Seq == 0 {
		rec.Seq = seq
	}
	if stored.Progress != nil {
		rec.Progress = new(task.ProgressInfo)
		if err := json.Unmarshal(stored.Progress, rec.Progress); err != nil {
			return task.Record{}, taskParts{}, fmt.Errorf("decode progress of task %s: %w", id, err)
		}
	}
	return rec, stored.Parts, nil
}
