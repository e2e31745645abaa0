// Command limit shows the limits of the machine, so that a figure of the gateway can be
// read as a fraction of them: the same clients measure both in the same run. It is not a
// gateway. Each mode does one thing at the lowest cost, and nothing else.
//
//	limit [fanout] --public 127.0.0.1:0 --internal 127.0.0.1:0 [--callback-url URL] [--threads N]
//
// is a server on bare epoll and sendto, with one small write for each event and stream.
// Every GET to the public address is a stream. The internal address accepts POST
// /internal/send with {"token":"…","event":{"name":"…","data":"…"}}, exactly in this
// form, or with one such line for each message as application/x-ndjson. The token "*"
// means all streams. After the answer, N threads write to them in the order in which
// they were opened; the events of one request leave in one write. Each stream has a
// connect callback before its headers, and a disconnect callback when its client has
// left. The server disconnects a client that does not read. Linux only.
//
//	limit nethttp --public … --internal … [--callback-url URL] [--callbacks=false]
//
// is the obvious server: a net/http handler that flushes the headers and waits, with a
// goroutine for each stream. It shows the memory and CPU of that. It cannot send events.
//
//	limit fsync --public … --internal … [--data DIR]
//
// shows the cost of a store with one commit for each message. It answers a POST to the
// internal address when it has appended the message to a file and synced the file
// (fdatasync), one message after another. In application/x-ndjson each line is a message.
// There are no streams. It deletes the file at the end.
//
//	limit callbacks [--callback-url URL] [--count N] [--concurrency N]
//
// sends N connect and N disconnect callbacks and prints the CPU time of one call, which a
// gateway cannot avoid. Without a URL, it starts a backend process (limit backend), whose
// CPU does not count. Linux only.
//
// A server writes {"msg":"ready","public":"http://…","internal":"http://…"} to stderr
// when it is ready. It ends at SIGTERM or SIGINT, without callbacks for open streams.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// run runs the program and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "limit:", err)
		return exitUsage
	}
	ready := func(public, internal string) { writeReady(stderr, public, internal) }
	switch o.mode {
	case modeNetHTTP:
		err = runNetHTTP(ctx, o, ready)
	case modeFsync:
		err = runFsync(ctx, o, ready)
	case modeBackend:
		err = runBackend(ctx, o, ready)
	case modeCallbacks:
		err = runCallbacks(ctx, o, stdout)
	default:
		err = runFanout(ctx, o, ready)
	}
	if err != nil {
		fmt.Fprintln(stderr, "limit:", err)
		return exitError
	}
	return exitOK
}

// writeReady writes the addresses for the process that started this one.
func writeReady(w io.Writer, public, internal string) {
	_ = json.NewEncoder(w).Encode(struct {
		Msg      string `json:"msg"`
		Public   string `json:"public"`
		Internal string `json:"internal"`
	}{"ready", "http://" + public, "http://" + internal})
}
