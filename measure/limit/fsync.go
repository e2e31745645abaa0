package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

// runFsync answers each POST once its message is on the disk, until ctx ends.
func runFsync(ctx context.Context, o options, ready func(public, internal string)) (err error) {
	file, err := os.CreateTemp(o.data, "limit-fsync-")
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", o.public)
	if err != nil {
		return fmt.Errorf("--public: %w", err)
	}
	internal, err := lc.Listen(ctx, "tcp", o.internal)
	if err != nil {
		_ = public.Close()
		return fmt.Errorf("--internal: %w", err)
	}
	ready(public.Addr().String(), internal.Addr().String())
	return serveBoth(ctx,
		server{public, http.NotFoundHandler()},
		server{internal, &fsyncLog{file: file}})
}

// fsyncLog appends messages to a file, with one commit for each.
type fsyncLog struct {
	mu   sync.Mutex
	file *os.File // guarded by mu: one writer at a time
}

// ServeHTTP appends one message, or one for each line of NDJSON.
func (l *fsyncLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("Content-Type") != string(ndjson) {
		if err := l.commit(body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"status":"ok"}`)
		return
	}
	for line := range bytes.Lines(body) {
		code := http.StatusOK
		if l.commit(line) != nil {
			code = http.StatusInternalServerError
		}
		fmt.Fprintf(w, "{\"code\":%d}\n", code)
	}
}

// commit returns when the message is on the disk.
func (l *fsyncLog) commit(message []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(message); err != nil {
		return err
	}
	return datasync(l.file)
}
