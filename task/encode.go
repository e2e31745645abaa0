package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"
)

// Values of event_type.
const (
	typeStarted   = "task_started"
	typeProgress  = "progress_update"
	typeRetrying  = "task_retrying"
	typeCompleted = "task_completed"
	typeFailed    = "task_failed"
	typeCancelled = "task_cancelled"
)

// endType is the event_type, and the reason of connection_close, for a final state.
func endType(s State) string {
	switch s {
	case Completed:
		return typeCompleted
	case Failed:
		return typeFailed
	default:
		return typeCancelled
	}
}

// stampLayout is RFC 3339 in UTC with always six digits of fraction.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// now is the time as tasks and events show it: the two agree to the microsecond.
func now() time.Time { return micro(time.Now()) }

// micro is t as records and events have it; zero stays zero.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// taskEvent builds a task_event. data is JSON; nil means null. The second result
// is data's place inside the first.
func taskEvent(eventType, id string, at time.Time, data []byte) (event, inside []byte) {
	if data == nil {
		data = []byte("null")
	}
	b := make([]byte, 0, len(data)+len(id)+128)
	b = append(b, `{"event_type":"`...)
	b = append(b, eventType...)
	b = append(b, `","task_id":"`...)
	b = append(b, id...)
	b = append(b, `","timestamp":"`...)
	b = at.AppendFormat(b, stampLayout)
	b = append(b, `","data":`...)
	begin := len(b)
	b = append(b, data...)
	end := len(b)
	b = append(b, '}')
	return b, b[begin:end:end]
}

// startedEvent is the first event of a task that ran.
func startedEvent(rec Record) item {
	data, _ := taskEvent(typeStarted, rec.ID, rec.Started, nil)
	return item{kind: kindStarted, Event: Event{Name: EventTask, Data: data}}
}

// keyLife is how long a log knows a Key for sure: less than the two minutes of a gateway.
const keyLife = 90 * time.Second

// repeatedStart is the first event of a task that was begun before, maybe by a process
// that died before it had published it.
func repeatedStart(rec Record) item {
	it := startedEvent(rec)
	it.until = rec.Started.Add(keyLife)
	return it
}

// progressEvent is the event of a record's latest progress.
func progressEvent(rec Record) item {
	data, _ := taskEvent(typeProgress, rec.ID, rec.ProgressAt, rec.Progress.Data)
	return item{kind: kindProgress, Event: Event{Name: EventTask, Data: data}}
}

// maxReason bounds the reason in a task_retrying.
const maxReason = 4 << 10

// retryingEvent is the event that ends an attempt of rec when another one follows at
// next. It has at most limit bytes, at least minEventBytes.
func retryingEvent(rec Record, reason string, at, next time.Time, limit int) item {
	const rest, escaped = 400, 6   // bytes of all but the reason; of one byte in JSON
	data, _ := encodeJSON(struct { // numbers and strings always encode
		Attempt int    `json:"attempt"`
		Reason  string `json:"reason"`
		NextRun string `json:"next_run"`
	}{rec.Attempt, cut(reason, min(maxReason, (limit-rest)/escaped)), next.Format(stampLayout)})
	event, _ := taskEvent(typeRetrying, rec.ID, at, data)
	return item{kind: kindRetrying, run: rec.Run, Event: Event{Name: EventTask, Data: event}}
}

// endEvents are the last two events of a task in a final state: its terminal
// event, whose Data has at most limit bytes, and connection_close.
func endEvents(rec Record, statusPath string, limit int) []item {
	data := endData(rec)
	event, _ := taskEvent(endType(rec.State), rec.ID, rec.Ended, data)
	if len(event) > limit {
		event = shortEnd(rec, statusPath, limit)
	}
	return []item{
		{kind: kindEnd, Event: Event{Name: EventTask, Data: event}},
		{kind: kindClose, Event: Event{
			Name:  EventClose,
			Data:  fmt.Appendf(nil, `{"reason":%q}`, endType(rec.State)),
			Close: true,
		}},
	}
}

// endData is the data of a terminal event, whole.
func endData(rec Record) []byte {
	switch rec.State {
	case Completed:
		return rec.Result
	case Failed:
		data, _ := encodeJSON(struct { // a struct of a string always encodes
			Error string `json:"error"`
		}{rec.Error})
		return data
	default:
		return nil
	}
}

// shortEnd is the terminal event of rec without its payload, but saying where to
// find it. A failure keeps as much of its text as limit allows.
func shortEnd(rec Record, statusPath string, limit int) []byte {
	short := struct {
		Error     *string `json:"error,omitempty"`
		Truncated bool    `json:"truncated"`
		Bytes     int     `json:"bytes"` // of the data that was left out
		StatusURL string  `json:"status_url"`
	}{nil, true, len(endData(rec)), statusPath + rec.ID}

	for room := limit; ; room /= 2 {
		if rec.State == Failed {
			short.Error = new(cut(rec.Error, room))
		}
		data, _ := encodeJSON(short)
		event, _ := taskEvent(endType(rec.State), rec.ID, rec.Ended, data)
		if len(event) <= limit || room == 0 {
			return event
		}
	}
}

// cut returns the longest beginning of s that has at most n bytes and ends with
// a whole rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// progressData encodes the data of a progress_update: text and value first, then
// the fields in the order of their names.
func progressData(text string, value float64, fields map[string]any) ([]byte, error) {
	data, err := encodeJSON(struct {
		Text  string  `json:"text"`
		Value float64 `json:"value"`
	}{text, value})
	if err != nil {
		return nil, err
	}
	if _, ok := fields["text"]; ok {
		fields = maps.Clone(fields)
		delete(fields, "text")
	}
	if _, ok := fields["value"]; ok {
		fields = maps.Clone(fields)
		delete(fields, "value")
	}
	if len(fields) == 0 {
		return data, nil
	}
	more, err := encodeJSON(fields)
	if err != nil {
		return nil, err
	}
	data[len(data)-1] = ','
	return append(data, more[1:]...), nil
}

// encodeJSON is json.Marshal without the escapes meant for HTML, which would
// make text up to six times as long.
func encodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
