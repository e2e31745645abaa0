package bench

import (
	"time"

	"github.com/spf13/pflag"
)

// AddFlags defines a flag for each option but Modes and Self, and sets the
// defaults.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Runs, "runs", 3, "runs of each mode; figures are their median")
	fs.BoolVar(&o.JSON, "json", false, "print JSON instead of a table")
	fs.StringVar(&o.SVG, "svg", "", "write a chart to this `FILE` as well")
	fs.DurationVar(&o.Patience, "patience", 10*time.Second, "what has not come, when nothing came for so long, is lost")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "most that one run of one mode may take")
	o.addGatewayFlags(fs)
	o.addStorageFlags(fs)
	o.addStreamFlags(fs)
	o.addLoadFlags(fs)
}

func (o *Options) addGatewayFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Binary, "binary", "", "measure this build of tidegate, a `FILE`; without it the program measures itself")
	fs.StringVar(&o.GatewayArgs, "gateway-args", "", "further `FLAGS` for the gateway that is started, separated by blanks")
	fs.StringVar(&o.Public, "public", "", "base `URL` of the streams of a gateway that runs already")
	fs.StringVar(&o.Internal, "internal", "", "base `URL` of its internal API")
	fs.StringVar(&o.InternalSecret, "internal-secret", "", "bearer token of the internal API; a gateway that is started is given it")
	fs.StringVar(&o.CallbackListen, "callback-listen", "127.0.0.1:0", "`ADDRESS` of the backend: its callback URL is http://ADDRESS/callback")
	fs.IntSliceVar(&o.PIDs, "pid", nil, "process `ID` of a gateway that runs already, several separated by commas; without it there is no CPU and no memory")
	fs.BoolVar(&o.TokensOnly, "tokens-only", false, "the gateway has no topics: fan out with one send to each token")
	fs.StringVar(&o.Limit, "limit", "", "measure this program beside it, a `FILE`: a bare gateway that shows what the machine can do (bench/limit)")
	fs.IntVar(&o.Threads, "threads", 0, "threads of the program of --limit; 0 leaves it to that")
	fs.StringVar(&o.Compare, "compare", "", "measure another build of tidegate beside it, a `FILE`")
}

func (o *Options) addStorageFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Storage, "storage", storageMemory, "`memory|process|power`: where the gateway keeps events; the last two are a new folder, with that --durability")
	fs.StringVar(&o.CompareStorage, "compare-storage", "", "measure a gateway with this `STORAGE` beside it, the same build without --compare")
	fs.StringVar(&o.StorageDir, "storage-dir", "", "`FOLDER` to make those folders in; without it that of temporary files")
	fs.StringVar(&o.NATSServer, "nats-server", "", "start this program, a `FILE`, for each run and have the gateway keep its events there")
	fs.IntVar(&o.Topics, "topics", 0, "history, resume, restart: topics that events are published to; 0 for 100000, 50 and 10000")
	fs.IntVar(&o.Behind, "behind", 1000, "resume: events that each stream is behind")
	fs.BoolVar(&o.Cold, "cold", false, "resume: at a gateway that has just started, and has to read all from its storage")
	fs.IntVar(&o.Held, "held", 100_000, "restart: events that are in the storage")
}

func (o *Options) addStreamFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Protocol, "protocol", protocolHTTP1, "`http1|tls|h2|h2c` of the streams: plain, TLS, HTTP/2 over TLS or over TCP; other than http1 for idle, fanout and latency")
	fs.IntVar(&o.ConnStreams, "streams-per-connection", 1, "h2, h2c: streams that share a connection")
	fs.IntVar(&o.Streams, "streams", 0, "streams that are open; 0 for 10000, or 1000 with another --protocol than http1")
	fs.BoolVar(&o.Subscribe, "subscribe", true, "subscribe the streams to a topic; without it a connect costs the callback alone, and events to all go to each token")
	fs.IntVar(&o.Size, "size", 128, "bytes of an event's data")
	fs.IntVar(&o.Window, "window", 256, "connects under way at once")
	fs.IntVar(&o.First, "first", 0, "idle: streams that are open when counting begins; 0 for a quarter of --streams")
	fs.DurationVar(&o.Settle, "settle", 15*time.Second, "idle, churn, history, restart: pause before memory is read: a gateway takes some time to give it back")
}

func (o *Options) addLoadFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.Events, "events", 20, "fanout: spaced events")
	fs.DurationVar(&o.Gap, "gap", 100*time.Millisecond, "fanout: pause after each, when all streams have it")
	fs.IntVar(&o.Burst, "burst", 20, "fanout: events in one request")
	fs.IntVar(&o.Senders, "senders", 64, "unicast, topics, publish: keep-alive connections that send")
	fs.IntVar(&o.Batch, "batch", 100, "unicast, publish: messages of one request in the second half")
	fs.DurationVar(&o.Duration, "duration", 0, "how long the senders send or, in heartbeat, the streams are idle; 0 for 5s and 60s")
	fs.IntVar(&o.Messages, "messages", 1000, "latency, nodes: events, in nodes of each kind")
	fs.DurationVar(&o.Pace, "pace", 5*time.Millisecond, "latency, nodes, resume: one event each")
	fs.IntVar(&o.Leaves, "leaves", 10_000, "churn: clients that come and leave")
	fs.IntVar(&o.Pressure, "pressure", 2048, "slow: `KiB` that each stream is sent while a tenth does not read")
}
