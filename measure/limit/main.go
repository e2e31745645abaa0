// Command limit shows what the machine can do, so that a figure of the gateway
// can be read as a fraction of that: the same clients measure both, in the same
// run. It is no gateway. It does what it does at the lowest price that a
// program pays for it, and nothing else.
//
//	limit [fanout] --public 127.0.0.1:0 --internal 127.0.0.1:0 [--callback-url URL] [--threads N]
//
// is a server on bare epoll and sendto, without net/http where it counts: one
// small write for each event and stream. Every GET to the public address is a
// stream. The internal address takes POST /internal/send with
// {"token":"…","event":{"name":"…","data":"…"}}, exactly in this form, or one of
// these a line as application/x-ndjson. The token "*" means all streams: they
// are written to by N threads, in the order in which they were opened, after
// the request is answered; the events of one request leave in one write. Each
// stream is announced to the callback URL before its headers are sent, and
// again when its client has left. A client that does not read what it is sent is
// cut off. Linux only.
//
//	limit nethttp --public … --internal … [--callback-url URL] [--callbacks=false]
//
// is the server that is written first: a handler of net/http that flushes the
// headers and waits, a goroutine for each stream. It shows what that costs in
// memory and CPU; nothing can be sent.
//
//	limit fsync --public … --internal … [--data DIR]
//
// is what a store with one commit for each message costs: it answers a POST to
// the internal address when the message is at the end of a file and the file is
// synced (fdatasync), one message after the other. Of application/x-ndjson each
// line is a message. There are no streams. The file is removed at the end.
//
//	limit callbacks [--callback-url URL] [--count N] [--concurrency N]
//
// does N connect and N disconnect callbacks and nothing else, and prints what one
// call took of the CPU: what a gateway cannot save. Without a URL they go to a
// process of its own (limit backend), which is not counted. Linux only.
//
// The servers write {"msg":"ready","public":"http://…","internal":"http://…"} to
// stderr when they can be used. They end with SIGTERM or SIGINT, without
// callbacks for the streams that are open then.
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

// run is the program. It returns the exit code.
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

// writeReady tells whoever started the program where it listens.
func writeReady(w io.Writer, public, internal string) {
	_ = json.NewEncoder(w).Encode(struct {
		Msg      string `json:"msg"`
		Public   string `json:"public"`
		Internal string `json:"internal"`
	}{"ready", "http://" + public, "http://" + internal})
}
