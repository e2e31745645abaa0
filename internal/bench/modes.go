package bench

import "slices"

// mode is one kind of measurement.
type mode struct {
	name        string
	summary     string
	measure     measurement
	bare        bool // a gateway without topics can do it too
	anyProtocol bool // and so can the clients that do more than HTTP/1.1
}

// allModes lists them in the order in which they are run.
func allModes() []mode {
	return []mode{
		{"idle", "open --first and then --streams streams: memory and goroutines of each more, connects", measureIdle, true, true},
		{"heartbeat", "all streams idle for --duration (60s): CPU of the gateway", measureHeartbeat, true, false},
		{"fanout", "--events spaced events to all streams, then --burst in one request: CPU, time to the last", measureFanout, true, true},
		{"unicast", "--senders send to random tokens for --duration (5s), singly and in batches: CPU, sends/s", measureUnicast, true, false},
		{"topics", "the same to random topics, one of each stream, and to tokens: CPU of both", measureTopics, false, false},
		{"latency", "one event at a time to one of few streams: POST begun until read by the client", measureLatency, true, true},
		{"churn", "--leaves clients come and leave at once: CPU, callbacks included, and what stays behind", measureChurn, true, false},
		{"slow", "a tenth of the streams stops reading during a fan-out: what the others notice, memory", measureSlow, false, false},
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

// modes are those that are asked for: none or "all" is all that the protocol
// allows.
func (o *Options) modes() []mode {
	return slices.DeleteFunc(allModes(), func(m mode) bool {
		if len(o.Modes) == 0 || slices.Contains(o.Modes, "all") {
			return !m.anyProtocol && o.Protocol != protocolHTTP1 || !m.bare && o.bare()
		}
		return !slices.Contains(o.Modes, m.name)
	})
}
