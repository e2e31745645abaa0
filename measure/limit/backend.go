package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
)

// runBackend answers every request with an empty JSON object, until ctx ends.
func runBackend(ctx context.Context, o options, ready func(public, internal string)) error {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", o.public)
	if err != nil {
		return fmt.Errorf("--public: %w", err)
	}
	ready(public.Addr().String(), public.Addr().String())
	return serveBoth(ctx, server{public, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	})})
}

// startBackend starts this program as a backend process, so that its CPU does not count,
// and returns its URL. stop ends it.
func startBackend(ctx context.Context) (url string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, modeBackend)
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start a backend: %w", err)
	}
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		return cmd.Wait()
	}
	var line struct{ Public string }
	text, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(text, &line)
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("the backend did not start: %w", err), stop())
	}
	return line.Public + "/callback", stop, nil
}
