package nats

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog is where the server in this process logs to. What it says in the
// course of things is for debugging here: "Server is ready" is news to somebody who
// runs a NATS server, but not to somebody who runs Tidegate.
type serverLog struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal string // the last reason why it cannot go on
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

// Fatalf keeps the reason for whoever waits for the server, and does not end the
// process.
func (l *serverLog) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	l.log.Error(reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = reason
}

// reason is what Fatalf was told last, "" for nothing.
func (l *serverLog) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
