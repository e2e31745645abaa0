// Package natstest runs NATS servers for tests, in this process or as processes that can be
// killed. It also has the helpers that such tests wait and log with. It does not know the
// packages under test.
package natstest

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"tidegate/internal/leftover"
)

// Patience is how long a test waits for what must come. Elections of three servers on a
// busy machine take most of it.
const Patience = time.Minute

// Main is the TestMain of a package: it fails if goroutines are left, and removes the
// server's binary.
func Main(m *testing.M) {
	code := leftover.Run(m)
	if dir := builtInto; dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Open opens something that is closed when the test ends.
func Open[E interface{ Close() }](t testing.TB, open func(context.Context) (E, error)) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	e, err := open(ctx)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(e.Close)
	return e
}

// Within gives a context that ends with the test, or after Patience.
func Within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually waits until something holds that others bring about, or fails the test
// after Patience.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// Log writes to the output of a test.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// Lines collects a log. The zero value is empty; it may be used concurrently.
type Lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements [io.Writer].
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was logged so far.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger writes to the lines what has at least a level.
func (l *Lines) Logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}
