package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
)

// What the program can do: its first argument.
const (
	modeFanout    = "fanout"
	modeNetHTTP   = "nethttp"
	modeFsync     = "fsync"
	modeCallbacks = "callbacks"
	modeBackend   = "backend"
)

var modes = []string{modeFanout, modeNetHTTP, modeFsync, modeCallbacks, modeBackend}

// options are what the command line says.
type options struct {
	mode        string
	public      string // addresses to listen on
	internal    string
	callbackURL string // "" for no callbacks
	callbacks   bool
	threads     int
	data        string // folder; "" for the one of temporary files
	count       int
	concurrency int
}

const (
	maxThreads     = 64
	maxCount       = 10_000_000
	maxConcurrency = 4096
)

// parseOptions reads the command line. Help goes to w and gives flag.ErrHelp.
func parseOptions(args []string, w io.Writer) (options, error) {
	o := options{mode: modeFanout}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.mode, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("limit", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned
	fs.Usage = func() {
		fmt.Fprintf(w, "Usage: limit [%s] [flags]\n\nFlags:\n", strings.Join(modes, "|"))
		fs.SetOutput(w)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	fs.StringVar(&o.public, "public", "127.0.0.1:0", "`address` of the streams")
	fs.StringVar(&o.internal, "internal", "127.0.0.1:0", "`address` of POST /internal/send")
	fs.StringVar(&o.callbackURL, "callback-url", "", "`URL` that is told of clients that come and leave; by default none is, and callbacks starts a backend of its own")
	fs.BoolVar(&o.callbacks, "callbacks", true, "nethttp: false leaves them out, whatever --callback-url says")
	fs.IntVar(&o.threads, "threads", min(runtime.GOMAXPROCS(0), maxThreads), "fanout: `number` of threads that write to all streams, and as many that take requests")
	fs.StringVar(&o.data, "data", "", "fsync: `folder` of the file that is written; by default that of temporary files, which must be on the disk in question")
	fs.IntVar(&o.count, "count", 10_000, "callbacks: `number` of clients that come and leave")
	fs.IntVar(&o.concurrency, "concurrency", 64, "callbacks: `number` of calls under way at once")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; the mode stands first, and flags follow", fs.Arg(0))
	}
	return o, o.check()
}

func (o options) check() error {
	var errs []error
	if !slices.Contains(modes, o.mode) {
		errs = append(errs, fmt.Errorf("unknown mode %q; there are %s", o.mode, strings.Join(modes, ", ")))
	}
	if u, err := url.Parse(o.callbackURL); err != nil || o.callbackURL != "" && (u.Scheme != "http" || u.Host == "") {
		errs = append(errs, fmt.Errorf("--callback-url %q: must be like http://127.0.0.1:9099/callback", o.callbackURL))
	}
	return errors.Join(append(errs,
		inRange("threads", o.threads, maxThreads),
		inRange("count", o.count, maxCount),
		inRange("concurrency", o.concurrency, maxConcurrency))...)
}

func inRange(name string, v, most int) error {
	if v < 1 || v > most {
		return fmt.Errorf("--%s %d: must be from 1 to %d", name, v, most)
	}
	return nil
}
