package bench

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Options say what is measured, and how. [Options.AddFlags] sets the defaults.
type Options struct {
	Modes []string // names of [Modes]; none is all
	Runs  int
	JSON  bool   // instead of a table
	SVG   string // file for a chart; "" for none
	Self  string // file of this program: the gateway, if Binary is "", and the clients

	// The gateway: one that is started, or one that runs already.
	Binary         string
	GatewayArgs    string
	Public         string
	Internal       string
	InternalSecret string
	CallbackListen string
	PIDs           []int
	TokensOnly     bool

	// Another one beside it.
	Limit   string
	Threads int
	Compare string

	// Where events are kept.
	Storage        string
	CompareStorage string // of the one beside it; "" for the same
	StorageDir     string
	NATSServer     string

	Protocol    string
	ConnStreams int // streams on each connection
	Streams     int // 0: as many as the protocol's clients can hold
	Subscribe   bool
	Size        int
	Window      int
	First       int // 0: a quarter of Streams
	Settle      time.Duration
	Events      int
	Gap         time.Duration
	Burst       int
	Senders     int
	Batch       int
	Duration    time.Duration // 0: as the mode needs
	Messages    int
	Pace        time.Duration
	Leaves      int
	Pressure    int // KiB
	Topics      int // 0: as the mode needs
	Held        int
	Behind      int
	Cold        bool
	coldEvents  int // published before a cold run; 0 for as many as it takes
	Patience    time.Duration
	Timeout     time.Duration
}

// Bounds of what may be asked for.
const (
	maxStreams = 200_000
	maxCount   = 1_000_000
	maxHeld    = 100_000_000
	maxLong    = time.Hour
	minSize    = 64 // of an event's data: room for its three numbers
	maxSize    = 16 << 10
	// Clients that speak more than HTTP/1.1 have goroutines and are slower than
	// the gateway: many of them would measure themselves.
	manyStreams, maxGoStreams = 10_000, 5_000
	someStreams               = 1_000
)

// The protocols that streams can use.
const (
	protocolHTTP1 = "http1"
	protocolTLS   = "tls" // HTTP/1.1 over TLS
	protocolH2    = "h2"  // HTTP/2 over TLS
	protocolH2C   = "h2c" // HTTP/2 over TCP
)

var protocols = []string{protocolHTTP1, protocolTLS, protocolH2, protocolH2C}

// Check fills in defaults that depend on other options, and reports all that is
// wrong, each mistake on a line.
func (o *Options) Check() error {
	if o.Streams == 0 {
		o.Streams = manyStreams
		if o.Protocol != protocolHTTP1 {
			o.Streams = someStreams
		}
	}
	if o.First == 0 {
		o.First = max(1, o.Streams/4)
	}
	errs := []error{
		inRange("runs", o.Runs, 1, 100),
		inRange("streams", o.Streams, 4, maxStreams),
		inRange("size", o.Size, minSize, maxSize),
		inRange("window", o.Window, 1, 4096),
		inRange("events", o.Events, 1, maxCount),
		inRange("burst", o.Burst, 1, 10_000),
		inRange("senders", o.Senders, 1, 1024),
		inRange("batch", o.Batch, 1, 1000),
		inRange("messages", o.Messages, 1, maxCount),
		inRange("leaves", o.Leaves, 1, maxCount),
		inRange("pressure", o.Pressure, 1, 1<<20),
		inRange("topics", o.Topics, 0, maxCount),
		inRange("behind", o.Behind, 1, 9_000),
		inRange("held", o.Held, 1, maxHeld),
		inRange("threads", o.Threads, 0, 1024),
		inRange("streams-per-connection", o.ConnStreams, 1, 10_000),
		inRange("settle", o.Settle, 0, maxLong),
		inRange("gap", o.Gap, 0, maxLong),
		inRange("duration", o.Duration, 0, maxLong),
		inRange("pace", o.Pace, 0, maxLong),
		inRange("patience", o.Patience, time.Millisecond, maxLong),
		inRange("timeout", o.Timeout, time.Second, maxLong),
	}
	if o.First < 1 || o.First >= o.Streams {
		errs = append(errs, fmt.Errorf("--first %d: must be from 1 to one less than --streams", o.First))
	}
	return errors.Join(append(errs, o.checkModes(), o.checkProtocol(), o.checkGateway(), o.checkStorage(), o.checkFiles())...)
}

func (o *Options) checkModes() error {
	known := allModes()
	var errs []error
	for _, name := range o.Modes {
		i := slices.IndexFunc(known, func(m mode) bool { return m.name == name })
		switch {
		case name == "all":
		case i < 0:
			errs = append(errs, fmt.Errorf("unknown mode %q; --help lists them", name))
		case !known[i].anyProtocol && o.Protocol != protocolHTTP1:
			errs = append(errs, fmt.Errorf("mode %s is measured with --protocol http1 only", name))
		case !known[i].needs.met(o):
			errs = append(errs, fmt.Errorf("mode %s needs %s", name, known[i].needs))
		case !known[i].bare && o.bare():
			errs = append(errs, fmt.Errorf("mode %s needs topics; leave out --tokens-only and --subscribe", name))
		}
	}
	return errors.Join(errs...)
}

func (o *Options) checkProtocol() error {
	switch {
	case !slices.Contains(protocols, o.Protocol):
		return fmt.Errorf("--protocol %q: must be one of %s", o.Protocol, strings.Join(protocols, ", "))
	case o.Protocol != protocolHTTP1 && o.Limit != "":
		return errors.New("--limit goes with --protocol http1: a bare gateway speaks nothing else")
	case o.Protocol != protocolHTTP1 && o.Streams > maxGoStreams:
		return fmt.Errorf("--streams %d: with --protocol %s at most %d, because the clients need more than the gateway", o.Streams, o.Protocol, maxGoStreams)
	case o.ConnStreams > 1 && o.Protocol != protocolH2 && o.Protocol != protocolH2C:
		return errors.New("--streams-per-connection goes with --protocol h2 or h2c")
	}
	return nil
}

func (o *Options) checkGateway() error {
	var errs []error
	if (o.Public == "") != (o.Internal == "") {
		errs = append(errs, errors.New("--public and --internal go together"))
	}
	if o.Limit != "" && o.Compare != "" {
		errs = append(errs, errors.New("give --limit or --compare, one of them"))
	}
	if o.Threads > 0 && o.Limit == "" {
		errs = append(errs, errors.New("--threads is for the program of --limit"))
	}
	for _, pid := range o.PIDs {
		if pid < 1 {
			errs = append(errs, fmt.Errorf("--pid %d: not a process id", pid))
		}
	}
	if !o.external() {
		if len(o.PIDs) > 0 {
			errs = append(errs, errors.New("--pid goes with --public and --internal"))
		}
		return errors.Join(errs...)
	}
	scheme := "http"
	if o.encrypted() {
		scheme = "https"
	}
	errs = append(errs, baseURL("public", o.Public, scheme), baseURL("internal", o.Internal, "http"))
	if o.Binary != "" || o.GatewayArgs != "" {
		errs = append(errs, errors.New("--binary and --gateway-args are for a gateway that bench starts; leave them out with --public"))
	}
	return errors.Join(errs...)
}

// external says that the gateway runs already.
func (o *Options) external() bool { return o.Public != "" }

// bare says that streams are reached by their tokens only.
func (o *Options) bare() bool { return o.TokensOnly || !o.Subscribe }

func (o *Options) encrypted() bool { return o.Protocol == protocolTLS || o.Protocol == protocolH2 }

// topicsOr is --topics, or what the mode takes without it.
func (o *Options) topicsOr(otherwise int) int { return cmp.Or(o.Topics, otherwise) }

// lasting is --duration, or what the mode takes without it.
func (o *Options) lasting(otherwise time.Duration) time.Duration {
	if o.Duration > 0 {
		return o.Duration
	}
	return otherwise
}

func inRange[T int | time.Duration](name string, v, least, most T) error {
	if v < least || v > most {
		return fmt.Errorf("--%s %v: must be from %v to %v", name, v, least, most)
	}
	return nil
}

func baseURL(name, s, scheme string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != scheme || u.Port() == "" || u.RawQuery != "" {
		return fmt.Errorf("--%s: must be like %s://127.0.0.1:8080, with a port", name, scheme)
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
func (o *Options) checkFiles() error {
	limit, err := fileLimit()
	if err != nil || o.external() && o.Limit+o.Compare == "" {
		return err
	}
	if o.Streams > limit-gatewaySpare {
		return fmt.Errorf("--streams %d: a process may have %d open files, which is enough for %d streams of one gateway; raise it with ulimit -n",
			o.Streams, limit, max(0, limit-gatewaySpare))
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
