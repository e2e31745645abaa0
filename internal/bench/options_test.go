package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/selfsigned"
)

func TestModesAndTheirOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, modes string }{
		{"", "idle heartbeat fanout unicast topics latency churn slow publish history resume"},
		{"all", "idle heartbeat fanout unicast topics latency churn slow publish history resume"},
		{"churn --runs 5 idle churn", "idle churn"},
		{"--storage power", "idle heartbeat fanout unicast topics latency churn slow publish history resume restart"},
		{"--nats-server x", "idle heartbeat fanout unicast topics latency churn slow publish history resume restart nodes"},
		{"--protocol h2", "idle fanout latency"},
		{"--tokens-only", "idle heartbeat fanout unicast latency churn"},
		{"all --subscribe=false", "idle heartbeat fanout unicast latency churn"},
	} {
		o := optionsOf(t, strings.Fields(tt.args)...)
		if err := o.Check(); err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		var names []string
		for _, m := range o.modes() {
			names = append(names, m.name)
		}
		if got := strings.Join(names, " "); got != tt.modes {
			t.Errorf("%s: modes %q, want %q", tt.args, got, tt.modes)
		}
	}
}

func TestDefaultsThatDependOnOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args           string
		streams, first int
	}{
		{"", 10_000, 2500},
		{"--protocol h2c", 1000, 250},
		{"--streams 400", 400, 100},
		{"--streams 19000 --first 5000", 19_000, 5000},
	} {
		o := optionsOf(t, strings.Fields(tt.args)...)
		if err := o.Check(); err != nil || o.Streams != tt.streams || o.First != tt.first {
			t.Errorf("%s: --streams %d --first %d, error %v; want %d and %d", tt.args, o.Streams, o.First, err, tt.streams, tt.first)
		}
	}
}

func TestOptionsOfARunningGateway(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, "--public", "http://127.0.0.1:1/x", "--internal", "http://127.0.0.1:2", "--pid", "12,13", "--duration", "1s")
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	if s := o.subjects(selfsigned.Files{}); len(s) != 1 || s[0].command != nil || !cmp.Equal(o.PIDs, []int{12, 13}) || o.lasting(0) != time.Second {
		t.Errorf("subjects %+v, pids %v", s, o.PIDs)
	}
}

func TestMistakesInOptions(t *testing.T) {
	t.Parallel()
	const running = " --public http://127.0.0.1:1 --internal http://127.0.0.1:2"
	for _, tt := range []struct{ args, want string }{
		{"speed", `unknown mode "speed"`},
		{"--runs 0", "--runs 0: must be from 1 to 100"},
		{"--streams 3", "--streams"},
		{"--streams 150000", "ulimit -n"},
		{"--streams 100 --first 100", "--first 100"},
		{"--size 10", "--size"},
		{"--gap -1s", "--gap"},
		{"--timeout 1ms", "--timeout"},
		{"--public http://127.0.0.1:1", "go together"},
		{"--public https://127.0.0.1:1 --internal http://127.0.0.1:2", "--public"},
		{"--public http://127.0.0.1 --internal http://127.0.0.1:2", "--public"},
		{"--protocol h2" + running, "--public: must be like https://"},
		{"--binary x" + running, "--binary"},
		{"--pid 1", "--pid"},
		{"--pid 0" + running, "process id"},
		{"--protocol h3", "http1, tls, h2, h2c"},
		{"--protocol h2 --limit x", "--limit"},
		{"--protocol h2 --streams 5001", "at most 5000"},
		{"--protocol tls --streams-per-connection 2", "h2 or h2c"},
		{"churn --protocol h2", "mode churn"},
		{"topics --tokens-only", "mode topics"},
		{"--limit x --compare y", "one of them"},
		{"--threads 2", "--limit"},
		{"--runs 0 --events 0", "--events"}, // both are reported
		{"--storage disk", "memory, process, power"},
		{"--compare-storage disk", "--compare-storage"},
		{"--storage power" + running, "--storage"},
		{"--storage power --nats-server x", "one of them"},
		{"--limit x --compare-storage power", "not with --limit"},
		{"resume --cold", "--cold"},
		{"restart", "mode restart needs --storage"},
		{"nodes --storage power", "mode nodes needs --nats-server"},
	} {
		o := optionsOf(t, strings.Fields(tt.args)...)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.args, err, tt.want)
		}
	}
}

func TestCommandsOfGateways(t *testing.T) {
	t.Setenv("TIDEGATE_HEARTBEAT", "1s")
	o := optionsOf(t, "--gateway-args", "--heartbeat 9s", "--internal-secret", "hush", "--limit", "/x/limit", "--threads", "3")
	s := o.subjects(selfsigned.Files{Cert: "c.pem", Key: "k.pem"})
	got := strings.Join(s[0].command[1:], " ")
	want := "gateway --listen 127.0.0.1:0 --internal-listen 127.0.0.1:0 --log-format json --drain-time 0 --tls-cert c.pem --tls-key k.pem --heartbeat 9s"
	if got != want || s[0].command[0] != o.Self {
		t.Errorf("gateway: %q, want %q", got, want)
	}
	env := strings.Join(s[0].env, "\n")
	if strings.Contains(env, "TIDEGATE_HEARTBEAT") || !strings.Contains(env, "TIDEGATE_INTERNAL_SECRET=hush") {
		t.Errorf("environment of the gateway:\n%s", env)
	}
	if names := o.gatewayName() + " " + o.besideName(); !strings.HasSuffix(names, " limit") || strings.Contains(names, "/") {
		t.Errorf("names %q", names)
	}
	if got, want := strings.Join(s[1].command, " "), "/x/limit --public 127.0.0.1:0 --internal 127.0.0.1:0 --threads 3"; got != want {
		t.Errorf("limit: %q, want %q", got, want)
	}
}

func TestNamesOfStorages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, gateway, beside string }{
		{"", "tidegate", ""},
		{"--storage power", "tidegate/power", ""},
		{"--storage power --compare-storage memory", "tidegate/power", "tidegate"},
		{"--compare-storage process", "tidegate", "tidegate/process"},
		{"--storage power --compare /old/tidegate", "tidegate/power", "/old/tidegate/power"},
		{"--storage power --limit /x/limit", "tidegate/power", "limit"},
	} {
		o := optionsOf(t, append(strings.Fields(tt.args), "--binary", "/new/tidegate")...)
		subjects := o.subjects(selfsigned.Files{})
		if got := o.gatewayName(); got != tt.gateway {
			t.Errorf("%s: the gateway is called %q, want %q", tt.args, got, tt.gateway)
		}
		if got := o.besideName(); got != tt.beside || (got != "") != (len(subjects) == 2) {
			t.Errorf("%s: %q is beside it, of %d; want %q", tt.args, got, len(subjects), tt.beside)
		}
	}
}
