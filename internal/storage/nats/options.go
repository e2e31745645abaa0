package nats

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"
)

// Options configure an [Engine]. Set either Dir or URLs.
type Options struct {
	Dir    string   // data folder of a server in this process; made if it is not there
	Former string   // folder that is renamed to Dir where there is no Dir; "" for none
	URLs   []string // of an external server, or of some of a cluster's

	// Prefix of all subjects, streams and buckets: lowercase letters, digits, - and _.
	// Default: the one that Dir was made with, else "tidegate".
	Prefix  string
	Command string // shown in the connection's name: "tidegate COMMAND/NODE"; default "serve"
	Node    string // first name of this node, shown there too; default: drawn at random
	Needs   Need   // what Open makes; the rest is made when it is first used

	MaxBody   int64 // bytes of one event, default 1 MiB, at most 1 GiB
	MaxEvents int64 // of one topic that are kept, default 1000

	// Bounds of what is stored, in bytes. Without one, a new stream gets a share of the
	// free space (see share), and one that is there keeps its bound.
	EventsBytes, TasksBytes, QueueBytes, SessionsBytes, ResultsBytes int64

	// Durability of a server in this process, default DurabilityProcess.
	Durability Durability
	// Replicas of each stream in an external cluster, 1 to 5; default 3 if it
	// has three servers with JetStream, else 1.
	Replicas int
	// MinFree is the free space of the data folder's file system, in bytes, below which
	// writes are refused. Default: a twentieth of the file system, at most 64 MiB.
	MinFree int64
	// ConnectWait bounds how long Open waits for an external server to answer,
	// default 15 s: an election takes up to 9.
	ConnectWait time.Duration

	// Listen has the server in this process listen for other nodes, at host:port.
	// Off loopback it needs Token, TLSCert and TLSKey. On loopback, which every
	// user of the machine reaches, a Token is made and kept in Dir if there is none.
	Listen string

	// Credentials for an external server. Token is also what clients need at Listen.
	Credentials    string // file of a JWT and its key
	NKey           string // file of a seed
	User, Password string
	Token          string

	// PEM files. For an external server TLSCA is the authority to trust, and TLSCert and
	// TLSKey are the client's. At Listen they are the server's, and with TLSCA clients
	// need a certificate that it signed.
	TLSCA, TLSCert, TLSKey string

	Log *slog.Logger // default: none

	// Replaced by tests.
	bootID func() string
	space  func(dir string) (space, error)
	sync   func(dir string) error
}

// Durability says what an acknowledged write survives.
type Durability string

const (
	// DurabilityProcess keeps what was acknowledged when the process is killed.
	// A power failure loses up to the last second.
	DurabilityProcess Durability = "process"
	// DurabilityPower keeps it through a power failure too: each write is
	// synced before it is acknowledged.
	DurabilityPower Durability = "power"
)

const (
	defaultMaxBody   = 1 << 20
	largestBody      = 1 << 30
	defaultMaxEvents = 1000
	// envelope is room in a message besides an event's data: its name, topic and
	// headers, in bytes.
	envelope = 64 << 10
	// smallestEnvelope is the same for an external server, whose limit may be small.
	smallestEnvelope = 4 << 10
	// shortestToken is the least length of a token, so that it cannot be guessed.
	shortestToken = 16
)

// defaultPrefix is that of new deployments.
const defaultPrefix = "tidegate"

var validPrefix = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`) // streams have it in capitals

func (o Options) withDefaults() Options {
	o.Command = cmp.Or(o.Command, "serve")
	o.Node = cmp.Or(o.Node, RandomName())
	o.MaxBody = cmp.Or(o.MaxBody, defaultMaxBody)
	o.MaxEvents = cmp.Or(o.MaxEvents, defaultMaxEvents)
	o.Durability = cmp.Or(o.Durability, DurabilityProcess)
	o.ConnectWait = cmp.Or(o.ConnectWait, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Dir != "" {
		o.Dir = filepath.Clean(o.Dir)
	}
	if o.bootID == nil {
		o.bootID = kernelBootID
	}
	if o.space == nil {
		o.space = spaceOf
	}
	if o.sync == nil {
		o.sync = syncAll
	}
	return o
}

// validate returns all mistakes, joined.
func (o Options) validate() error {
	var wrong []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	refuse((o.Dir == "") == (len(o.URLs) == 0), "NATS needs a data folder or URLs, and not both")
	for i, raw := range o.URLs {
		_, err := parseURL(raw) // the error would show a password
		refuse(err != nil, "URL %d of NATS cannot be parsed", i+1)
	}
	refuse(o.Prefix != "" && !validPrefix.MatchString(o.Prefix), "prefix %q: 1 to 64 lowercase letters, digits, - and _", o.Prefix)
	refuse(o.MaxBody < 0 || o.MaxBody > largestBody, "--max-body %d: NATS takes at most %d", o.MaxBody, largestBody)
	refuse(o.MaxEvents < 0, "%d events of a topic cannot be kept", o.MaxEvents)
	refuse(min(o.EventsBytes, o.TasksBytes, o.QueueBytes, o.SessionsBytes, o.ResultsBytes, o.MinFree) < 0, "sizes of NATS: bytes from 0 on")
	refuse(o.Durability != DurabilityProcess && o.Durability != DurabilityPower,
		"durability %q: %s or %s", o.Durability, DurabilityProcess, DurabilityPower)
	refuse(o.Replicas < 0 || o.Replicas > 5, "--nats-replicas %d: 1 to 5", o.Replicas)
	refuse((o.TLSCert == "") != (o.TLSKey == ""), "a TLS certificate and its key go together")
	if o.Dir != "" {
		refuse(o.Replicas > 1, "--nats-replicas %d: the server in this process keeps one copy, more take --nats-url", o.Replicas)
		refuse(o.Credentials != "" || o.NKey != "" || o.User != "", "credentials, nkeys and users are for --nats-url; at --nats-listen others show a token")
		refuse(o.Listen == "" && (o.Token != "" || o.TLSCA != "" || o.TLSCert != ""), "token and TLS are for --nats-url or --nats-listen; without them nobody else can connect")
	}
	refuse(o.Listen != "" && o.Dir == "", "--nats-listen is for the server in this process, not for --nats-url")
	if o.Listen != "" {
		wrong = append(wrong, o.validateListen())
	}
	return errors.Join(wrong...)
}

func (o Options) validateListen() error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("--nats-listen %q: want host:port", o.Listen)
	}
	if o.Token != "" && len(o.Token) < shortestToken {
		return fmt.Errorf("--nats-listen %s: the token has %d characters: give %d or more", o.Listen, len(o.Token), shortestToken)
	}
	if !isLoopback(host) && (o.Token == "" || o.TLSCert == "") {
		return fmt.Errorf("--nats-listen %s: other machines can reach it, so it needs a token and TLS (a certificate and its key)", o.Listen)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
