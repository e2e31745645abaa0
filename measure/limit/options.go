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

// Modes of the program, its first argument.
const (
	modeFanout    = "fanout"
	modeNetHTTP   = "nethttp"
	modeFsync     = "fsync"
	modeCallbacks = "callbacks"
	modeBackend   = "backend"
)

var modes = []string{modeFanout, modeNetHTTP, modeFsync, modeCallbacks, modeBackend}

// options are the settings of the command line.
type options struct {
	mode        string
	public      string // addresses to listen on
	internal    string
	callbackURL string // "" for no callbacks
	callbacks   bool
	threads     int
	data        string // folder; "" for that of temporary files
	count       int
	concurrency int
}

const (
	maxThreads     = 64
	maxCount       = 10_000_000
	maxConcurrency = 4096
)

// parseOptions parses the command line. For help it writes to w and returns
// flag.ErrHelp.
func parseOptions(args []string, w io.Writer) (options, error) {
	o := options{mode: modeFanout}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.mode, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("limit", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints the errors
	fs.Usage = func() {
		fmt.Fprintf(w, "Usage: limit [%s] [flags]\n\nFlags:\n", strings.Join(modes, "|"))
		fs.SetOutput(w)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	fs.StringVar(&o.public, "public", "127.0.0.1:0", "`address` of the streams")
	fs.StringVar(&o.internal, "internal", "127.0.0.1:0", "`address` of POST /internal/send")
	fs.StringVar(&o.callbackURL, "callback-url", "", "`URL` for connect and disconnect callbacks; by default there are none, and mode callbacks starts a backend")
	fs.BoolVar(&o.callbacks, "callbacks", true, "nethttp: false sends no callbacks, whatever --callback-url says")
	fs.IntVar(&o.threads, "threads", min(runtime.GOMAXPROCS(0), maxThreads), "fanout: `number` of threads that write to all streams, and of as many that serve requests")
	fs.StringVar(&o.data, "data", "", "fsync: `folder` of the file, on the disk to measure; by default that of temporary files")
	fs.IntVar(&o.count, "count", 10_000, "callbacks: `number` of clients that connect and leave")
	fs.IntVar(&o.concurrency, "concurrency", 64, "callbacks: `number` of concurrent calls")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; the mode comes first, then the flags", fs.Arg(0))
	}
	return o, o.check()
}

func (o options) check() error {
	var errs []error
	if !slices.Contains(modes, o.mode) {
		errs = append(errs, fmt.Errorf("unknown mode %q; choose from %s", o.mode, strings.Join(modes, ", ")))
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
