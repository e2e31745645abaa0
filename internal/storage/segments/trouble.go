package segments

import "time"

// trouble is why nothing can be written now. The log's lock guards it.
type trouble struct {
	writing error // of the last group, nil if it was written
	logged  time.Time
	reading error // of the last read of a file, nil if it succeeded
}

// logPause is how often failures are logged: there is one for each request.
const logPause = time.Minute

// failed notes a write that failed. It reports whether to log it.
func (t *trouble) failed(err error, now time.Time) bool {
	t.writing = err
	if !t.logged.IsZero() && now.Sub(t.logged) < logPause {
		return false
	}
	t.logged = now
	return true
}

// passed notes that something was written.
func (t *trouble) passed() { t.writing, t.logged = nil, time.Time{} }

// Health is why the log cannot be relied on now; nothing if it can.
func (l *Log) Health() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var reasons []string
	if err := l.trouble.writing; err != nil {
		reasons = append(reasons, "the event log cannot be written: "+err.Error())
	}
	if err := l.trouble.reading; err != nil {
		reasons = append(reasons, "the event log cannot be read: "+err.Error())
	}
	return reasons
}
