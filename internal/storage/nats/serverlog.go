package nats

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog takes the log of the server in this process. Its notices are debug lines here:
// "Server is ready" matters to somebody who runs a NATS server, but not to somebody who
// runs Tidegate.
type serverLog struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal string // why the server cannot go on
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

// Fatalf keeps the reason for start, and does not end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	reason := fmt.Sprintf(format, v...)
	l.log.Error(reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = reason
}

// reason is the last one of Fatalf, "" for none.
func (l *serverLog) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
