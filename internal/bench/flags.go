package bench

import (
	"time"

	"github.com/spf13/pflag"
)

// AddFlags defines a flag for each option but Modes and Self, and sets the
// defaults.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Runs, "runs", 3, "runs of each mode; the figures are their median")
	fs.BoolVar(&o.JSON, "json", false, "print JSON instead of a table")
	fs.StringVar(&o.SVG, "svg", "", "write a chart to this `FILE` too")
	fs.DurationVar(&o.Patience, "patience", 10*time.Second, "an event counts as lost after this time without any event")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "longest time that one run of one mode can take")
	o.addGatewayFlags(fs)
	o.addStorageFlags(fs)
	o.addStreamFlags(fs)
	o.addLoadFlags(fs)
}

func (o *Options) addGatewayFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Binary, "binary", "", "measure this build of tidegate, a `FILE`, instead of the program itself")
	fs.StringVar(&o.GatewayArgs, "gateway-args", "", "more `FLAGS` for the gateway that bench starts, separated by blanks")
	fs.StringVar(&o.Public, "public", "", "base `URL` of the streams of a gateway that runs already")
	fs.StringVar(&o.Internal, "internal", "", "base `URL` of the internal API of a gateway that runs already")
	fs.StringVar(&o.InternalSecret, "internal-secret", "", "bearer token of the internal API; a gateway that bench starts gets it too")
	fs.StringVar(&o.CallbackListen, "callback-listen", "127.0.0.1:0", "`ADDRESS` on which bench answers callbacks; give the gateway --callback-url http://ADDRESS/callback")
	fs.IntSliceVar(&o.PIDs, "pid", nil, "process `ID` of a gateway that runs already, several separated by commas; without it CPU and memory are not measured")
	fs.BoolVar(&o.TokensOnly, "tokens-only", false, "the gateway has no topics: fan out with one send to each token")
	fs.StringVar(&o.Limit, "limit", "", "measure this program, a `FILE`, beside the gateway: one without any work, which shows the limit of the machine (measure/limit)")
	fs.IntVar(&o.Threads, "threads", 0, "threads of the program of --limit; 0 lets the program decide")
	fs.StringVar(&o.Compare, "compare", "", "measure another build of tidegate, a `FILE`, beside the first one")
}

func (o *Options) addStorageFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Storage, "storage", storageMemory, "`memory|process|power`: where the gateway keeps events; process and power make a new folder, with that --durability")
	fs.StringVar(&o.CompareStorage, "compare-storage", "", "measure a gateway with this `STORAGE` beside the first one; without --compare both are one build")
	fs.StringVar(&o.StorageDir, "storage-dir", "", "`FOLDER` for the new data folders of --storage; without it the folder of temporary files")
	fs.StringVar(&o.NATSServer, "nats-server", "", "start this NATS server, a `FILE`, for each run, and let the gateway keep events in it")
	fs.IntVar(&o.Topics, "topics", 0, "history, resume, restart: topics that receive events; 0 is 100000, 50 and 10000")
	fs.IntVar(&o.Behind, "behind", 1000, "resume: events that each stream is behind")
	fs.BoolVar(&o.Cold, "cold", false, "resume: measure a gateway that has just started and must read everything from storage")
	fs.IntVar(&o.Held, "held", 100_000, "restart: events in storage")
}

func (o *Options) addStreamFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Protocol, "protocol", protocolHTTP1, "`http1|tls|h2|h2c`: protocol of the streams (plain, TLS, HTTP/2 over TLS, HTTP/2 over TCP); others than http1 for idle, fanout and latency only")
	fs.IntVar(&o.ConnStreams, "streams-per-connection", 1, "h2, h2c: streams that share a connection")
	fs.IntVar(&o.Streams, "streams", 0, "open streams; 0 is 10000, or 1000 with --protocol other than http1")
	fs.BoolVar(&o.Subscribe, "subscribe", true, "subscribe the streams to a topic; with false a connect costs the callback only, and fan-out goes to each token")
	fs.IntVar(&o.Size, "size", 128, "bytes of an event's data")
	fs.IntVar(&o.Window, "window", 256, "connects under way at once")
	fs.IntVar(&o.First, "first", 0, "idle: streams that are open when counting begins; 0 is a quarter of --streams")
	fs.DurationVar(&o.Settle, "settle", 15*time.Second, "idle, churn, history, restart: wait before reading memory, because a gateway needs time to free it")
}

func (o *Options) addLoadFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Events, "events", 20, "fanout: events that are sent with a pause after each")
	fs.DurationVar(&o.Gap, "gap", 100*time.Millisecond, "fanout: pause after all streams have an event")
	fs.IntVar(&o.Burst, "burst", 20, "fanout: events in one request")
	fs.IntVar(&o.Senders, "senders", 64, "unicast, topics, publish: keep-alive connections that send")
	fs.IntVar(&o.Batch, "batch", 100, "unicast, publish: messages of one request in the second half")
	fs.DurationVar(&o.Duration, "duration", 0, "time for which senders send or, in heartbeat, streams are idle; 0 is 5s, and 60s in heartbeat")
	fs.IntVar(&o.Messages, "messages", 1000, "latency, nodes: events to send; nodes sends as many of each kind")
	fs.DurationVar(&o.Pace, "pace", 5*time.Millisecond, "latency, nodes, resume: time between two events")
	fs.IntVar(&o.Leaves, "leaves", 10_000, "churn: clients that connect and leave")
	fs.IntVar(&o.Pressure, "pressure", 2048, "slow: `KiB` that each stream receives while a tenth of them does not read")
}
