package bench

import "slices"

// mode is one kind of measurement.
type mode struct {
	name        string
	summary     string
	measure     measurement
	bare        bool // a gateway without topics can do it too
	answered    bool // a program of --limit can answer it, without streams
	anyProtocol bool // and so can the clients that do more than HTTP/1.1
	needs       need
	flags       []string // of the gateway, before --gateway-args
}

// need is what a mode requires.
type need int

const (
	needsNothing need = iota
	needsStorage      // --storage, or --nats-server
	needsServer       // --nats-server
)

func (n need) String() string {
	if n == needsServer {
		return "--nats-server"
	}
	return "--storage " + storageProcess + " or " + storagePower + ", or --nats-server"
}

// met reports whether the options give it.
func (n need) met(o *Options) bool {
	return n == needsNothing || n == needsStorage && o.durable() || n == needsServer && o.NATSServer != ""
}

// longHistory makes a gateway keep everything that a mode publishes.
var longHistory = []string{"--namespace", "bench=events:10000,bytes:64MiB,age:1h,replay:none"}

// allModes lists them in the order in which they are run.
func allModes() []mode {
	return []mode{
		{"idle", "open --first and then --streams streams: memory and goroutines per stream, connects/s", measureIdle, true, false, true, needsNothing, nil},
		{"heartbeat", "all streams are idle for --duration (60s): CPU of the gateway", measureHeartbeat, true, false, false, needsNothing, nil},
		{"fanout", "--events single events to all streams, then --burst in one request: CPU, time to the last stream", measureFanout, true, false, true, needsNothing, nil},
		{"unicast", "--senders send to random tokens for --duration (5s), one by one and in batches: CPU, sends/s", measureUnicast, true, false, false, needsNothing, nil},
		{"topics", "--senders send to random topics of one stream each, and to tokens: CPU of both", measureTopics, false, false, false, needsNothing, nil},
		{"latency", "one event at a time to one of few streams: time from the POST to the client", measureLatency, true, false, true, needsNothing, nil},
		{"churn", "--leaves clients connect and leave at once: CPU with callbacks, memory that stays", measureChurn, true, false, false, needsNothing, nil},
		{"slow", "a tenth of the streams stops reading during a fan-out: delay of the others, memory", measureSlow, false, false, false, needsNothing, nil},
		{"publish", "1 and then --senders send to topics for --duration (5s), then in batches: events/s, time to the answer", measurePublish, false, true, false, needsNothing, nil},
		{"history", "an event to each of --topics topics (100000): memory before, after and settled, bytes on the disk", measureHistory, false, false, false, needsNothing, nil},
		{"resume", "--streams streams reconnect at once, each --behind events behind: resumes/s, delay of the others", measureResume, false, false, false, needsNothing, longHistory},
		{"restart", "--held events in --topics topics (10000), then kill -9: time until ready again; needs --storage", measureRestart, false, false, false, needsStorage, longHistory},
		{"nodes", "sends to tokens through the node that has the stream and through another; needs --nats-server", measureNodes, false, false, false, needsServer, nil},
	}
}

// Mode is a kind of measurement, for help.
type Mode struct{ Name, Summary string }

// Modes lists what [Options.Modes] may name, in the order in which it is run.
func Modes() []Mode {
	var list []Mode
	for _, m := range allModes() {
		list = append(list, Mode{m.name, m.summary})
	}
	return list
}

// modes returns the modes to run: without names, or with "all", those that the protocol and the storage
// allow.
func (o *Options) modes() []mode {
	return slices.DeleteFunc(allModes(), func(m mode) bool {
		if len(o.Modes) == 0 || slices.Contains(o.Modes, "all") {
			return !m.needs.met(o) || !m.anyProtocol && o.Protocol != protocolHTTP1 || !m.bare && o.bare()
		}
		return !slices.Contains(o.Modes, m.name)
	})
}
