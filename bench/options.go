package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	modes []mode
	runs  int
	json  bool

	// The gateway: one that is built, one that is there as a file, or one
	// that runs already.
	binary         string
	gatewayArgs    string
	public         string
	internal       string
	internalSecret string
	callbackListen string
	pids           []int
	tokensOnly     bool

	streams  int
	size     int
	window   int
	settle   time.Duration
	events   int
	gap      time.Duration
	burst    int
	senders  int
	duration time.Duration
	messages int
	pace     time.Duration
	leaves   int
	patience time.Duration
	timeout  time.Duration
}

// mode is one kind of measurement.
type mode struct {
	name    string
	summary string
	measure measurement
}

// modes lists them in the order in which they are run.
func modes() []mode {
	return []mode{
		{"idle", "open --streams streams: memory of each, connects per second and their CPU", measureIdle},
		{"fanout", "--events spaced events to all streams, then --burst at once: CPU per delivery, time to the last stream", measureFanout},
		{"unicast", "--senders send to random tokens for --duration: sends per second, CPU per send, latency under load", measureUnicast},
		{"latency", "one event at a time to one of few streams: POST begun until read by the client", measureLatency},
		{"churn", "--leaves clients come and leave at once: rate and CPU, callbacks included", measureChurn},
	}
}

// Bounds of what may be asked for.
const (
	maxStreams = 200_000
	maxCount   = 1_000_000
	maxLong    = time.Hour
	minSize    = 64 // of an event's data: room for its three numbers
	maxSize    = 16 << 10
)

// parseOptions reads the command line: modes and flags in any order. Help goes
// to w and gives flag.ErrHelp. All mistakes are reported at once.
func parseOptions(args []string, w io.Writer) (*options, error) {
	o := &options{}
	fs := o.flags(w)
	var names []string
	for len(args) > 0 {
		if !strings.HasPrefix(args[0], "-") {
			names, args = append(names, args[0]), args[1:]
			continue
		}
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
	}
	return o, errors.Join(o.choose(names), o.check())
}

func (o *options) flags(help io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned, with the exit code
	fs.Usage = func() { printHelp(fs, help) }
	fs.IntVar(&o.runs, "runs", 3, "runs of each `mode`; figures are their median")
	fs.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	fs.DurationVar(&o.patience, "patience", 10*time.Second, "what has not come, when nothing came for so long, is lost")
	fs.DurationVar(&o.timeout, "timeout", 3*time.Minute, "most that one run of one mode may take")

	fs.StringVar(&o.binary, "binary", "", "measure this sluice `file`; by default one is built")
	fs.StringVar(&o.gatewayArgs, "gateway-args", "", "further `flags` for the gateway that is started, separated by blanks")
	fs.StringVar(&o.public, "public", "", "base `URL` of the streams of a gateway that runs already")
	fs.StringVar(&o.internal, "internal", "", "base `URL` of its internal API")
	fs.StringVar(&o.internalSecret, "internal-secret", "", "bearer token that its internal API asks for")
	fs.StringVar(&o.callbackListen, "callback-listen", "127.0.0.1:0", "`address` of the backend: its callback URL is http://ADDRESS/callback")
	fs.Func("pid", "its process `id`, several separated by commas; without it there is no CPU and no memory", o.parsePIDs)
	fs.BoolVar(&o.tokensOnly, "tokens-only", false, "it has no topics: fan out with one send to each token")

	fs.IntVar(&o.streams, "streams", 10_000, "streams that are open")
	fs.IntVar(&o.size, "size", 128, "bytes of an event's data")
	fs.IntVar(&o.window, "window", 256, "connects under way at once")
	fs.DurationVar(&o.settle, "settle", 5*time.Second, "idle: pause before the settled memory is read")
	fs.IntVar(&o.events, "events", 20, "fanout: spaced events")
	fs.DurationVar(&o.gap, "gap", 100*time.Millisecond, "fanout: pause after each, when all streams have it")
	fs.IntVar(&o.burst, "burst", 50, "fanout: events at once")
	fs.IntVar(&o.senders, "senders", 32, "unicast: keep-alive connections that send")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "unicast: how long they send")
	fs.IntVar(&o.messages, "messages", 1000, "latency: events")
	fs.DurationVar(&o.pace, "pace", 5*time.Millisecond, "latency: one event each")
	fs.IntVar(&o.leaves, "leaves", 10_000, "churn: clients that come and leave")
	return fs
}

func printHelp(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, "bench measures a gateway.\n\nUsage: go run ./bench [MODE…] [flags]\n\nModes (default: all):\n")
	for _, m := range modes() {
		fmt.Fprintf(w, "  %-8s %s\n", m.name, m.summary)
	}
	fmt.Fprint(w, "\nFlags:\n")
	fs.SetOutput(w)
	fs.PrintDefaults()
	fs.SetOutput(io.Discard)
}

func (o *options) parsePIDs(list string) error {
	for s := range strings.SplitSeq(list, ",") {
		pid, err := strconv.Atoi(s)
		if err != nil || pid < 1 {
			return fmt.Errorf("%q is not a process id", s)
		}
		o.pids = append(o.pids, pid)
	}
	return nil
}

// choose picks the named modes; none or "all" is all of them.
func (o *options) choose(names []string) error {
	known := modes()
	for _, name := range names {
		if name != "all" && !slices.ContainsFunc(known, func(m mode) bool { return m.name == name }) {
			return fmt.Errorf("unknown mode %q; --help lists them", name)
		}
	}
	for _, m := range known {
		if len(names) == 0 || slices.Contains(names, "all") || slices.Contains(names, m.name) {
			o.modes = append(o.modes, m)
		}
	}
	return nil
}

func (o *options) check() error {
	errs := []error{
		inRange("runs", o.runs, 1, 100),
		inRange("streams", o.streams, 4, maxStreams),
		inRange("size", o.size, minSize, maxSize),
		inRange("window", o.window, 1, 4096),
		inRange("events", o.events, 1, maxCount),
		inRange("burst", o.burst, 1, 10_000),
		inRange("senders", o.senders, 1, 1024),
		inRange("messages", o.messages, 1, maxCount),
		inRange("leaves", o.leaves, 1, maxCount),
		inRange("settle", o.settle, 0, maxLong),
		inRange("gap", o.gap, 0, maxLong),
		inRange("duration", o.duration, time.Millisecond, maxLong),
		inRange("pace", o.pace, 0, maxLong),
		inRange("patience", o.patience, time.Millisecond, maxLong),
		inRange("timeout", o.timeout, time.Second, maxLong),
	}
	if (o.public == "") != (o.internal == "") {
		errs = append(errs, errors.New("--public and --internal go together"))
	}
	if o.external() {
		errs = append(errs, baseURL("public", o.public), baseURL("internal", o.internal))
		if o.binary != "" || o.gatewayArgs != "" {
			errs = append(errs, errors.New("--binary and --gateway-args are for a gateway that bench starts; leave them out with --public"))
		}
	} else {
		if len(o.pids) > 0 || o.internalSecret != "" {
			errs = append(errs, errors.New("--pid and --internal-secret go with --public and --internal"))
		}
		errs = append(errs, o.checkFiles())
	}
	return errors.Join(errs...)
}

// external says that the gateway runs already.
func (o *options) external() bool { return o.public != "" }

func inRange[T int | time.Duration](name string, v, least, most T) error {
	if v < least || v > most {
		return fmt.Errorf("--%s %v: must be from %v to %v", name, v, least, most)
	}
	return nil
}

func baseURL(name, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.RawQuery != "" {
		return fmt.Errorf("--%s %q: must be like http://127.0.0.1:8080; only plain HTTP/1.1 is measured", name, s)
	}
	return nil
}

const (
	// gatewaySpare is what a gateway needs of its descriptors beside streams:
	// it keeps 512 for itself, and callbacks and senders take some.
	gatewaySpare = 900
	// clientSpare is the same for a process of clients.
	clientSpare = 64
)

// checkFiles says beforehand what the limit of open files would spoil later.
func (o *options) checkFiles() error {
	limit, err := fileLimit()
	if err != nil {
		return err
	}
	if o.streams > limit-gatewaySpare {
		return fmt.Errorf("--streams %d: a process may have %d open files, which is enough for %d streams of one gateway; raise it with ulimit -n",
			o.streams, limit, max(0, limit-gatewaySpare))
	}
	return nil
}

// fileLimit is how many files a process may have open. It is read, not raised.
func fileLimit() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return int(min(limit.Cur, 1<<30)), nil
}
