package config_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"tidegate/internal/config"
)

// load is Load with arguments and environment as one string each, separated by blanks.
func load(t *testing.T, cmd, args, env string) (*config.Config, error) {
	t.Helper()
	cfg, _, err := config.Load(cmd, strings.Fields(args), strings.Fields(env), io.Discard)
	return cfg, err
}

// mustLoad is load of a configuration that is right.
func mustLoad(t *testing.T, cmd, args, env string) *config.Config {
	t.Helper()
	cfg, err := load(t, cmd, args, env)
	if err != nil {
		t.Fatalf("Load(%s, %q, %q): %v", cmd, args, env, err)
	}
	return cfg
}

// problems returns the lines of an *Error.
func problems(t *testing.T, err error) []string {
	t.Helper()
	wrong, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("error is %T %v, want *config.Error", err, err)
	}
	var lines []string
	for _, p := range wrong.Problems {
		lines = append(lines, p.Error())
	}
	return lines
}

// write makes a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tidegate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsNeedNothing(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, "serve", "", "")
	want := &config.Config{
		LogLevel: slog.LevelInfo, LogFormat: "text",
		SocketMode: 0o660, CallbackConnectionAge: time.Minute,
		Listen: "127.0.0.1:8080", InternalListen: "127.0.0.1:8081",
		CallbackTimeout: 5 * time.Second, CallbackConcurrency: 64, CallbackRetention: time.Hour, CallbackQueue: 65536,
		RetryableRejections: true,
		Heartbeat:           15 * time.Second, HeartbeatForm: "block", IDBlocks: true, MaxPending: 1 << 20, WriteTimeout: 30 * time.Second,
		CORSHeaders: []string{"*"}, CallbackHeaders: []string{config.NoHeaders}, TaskAccess: config.AutoAccess,
		MaxHeader: 16 << 10,
		MaxBody:   1 << 20, MaxBatch: 16 << 20, MaxTopics: 1_000_000,
		Namespaces: map[string]config.Namespace{
			"*":       {Events: 1000, Bytes: 4 << 20, Age: time.Hour, Replay: "held"},
			"task":    {Events: 10_000, Bytes: 16 << 20, Age: 24 * time.Hour, Replay: "all"},
			"version": {Events: 1, Bytes: 1 << 20, Replay: "last"},
		},
		Data: "./tidegate-data", Durability: config.ProcessDurability, NATSPrefix: "tidegate",
		GatewayURL: "http://127.0.0.1:8081", Mode: config.Production,
		TaskWorkers: 4, TaskTimeout: 5 * time.Minute, TaskRetention: 24 * time.Hour, TaskQueue: 10_000,
		FrontendVersionInterval: 30 * time.Second, ChecksumRoots: []string{"."},
		DrainTime: 5 * time.Second, Grace: 30 * time.Second,
	}
	if diff := cmp.Diff(want, got, ignoreOrigins); diff != "" {
		t.Errorf("defaults of serve (-want +got):\n%s", diff)
	}
	if w := got.Warnings(); len(w) > 0 {
		t.Errorf("warnings of the defaults: %q", w)
	}
	if mustLoad(t, "gateway", "", "").RetryableRejections || mustLoad(t, "serve", "--retryable-rejections=false", "").RetryableRejections {
		t.Error("X29: retryable rejections are on for the gateway, or cannot be switched off for serve")
	}
	for cmd, want := range map[string][2]string{
		"serve --mode production":    {"127.0.0.1:8080", "127.0.0.1:8081"},
		"gateway --log-level info":   {":8080", "127.0.0.1:8081"},
		"backend --mode development": {"127.0.0.1:8082", "127.0.0.1:8083"},
	} {
		cmd, args, _ := strings.Cut(cmd, " ")
		if got := mustLoad(t, cmd, args, ""); got.Listen != want[0] || got.InternalListen != want[1] {
			t.Errorf("%s listens on %s and %s, want %s", cmd, got.Listen, got.InternalListen, want)
		}
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	t.Parallel()
	file := write(t, "heartbeat: 1s\ncors-origin: [https://file, https://also]\nnamespace: {chat: {events: 7}}\nretryable-rejections: true\n")
	tests := []struct {
		args, env string
		heartbeat time.Duration
		origins   []string
		chat      int
		retryable bool
	}{
		{"", "", 15 * time.Second, nil, 0, false},
		{"--config " + file, "", time.Second, []string{"https://file", "https://also"}, 7, true},
		{"", "TIDEGATE_CONFIG=" + file, time.Second, []string{"https://file", "https://also"}, 7, true},
		{"--config=", "TIDEGATE_CONFIG=" + file, 15 * time.Second, nil, 0, false},
		{"--config " + file, "TIDEGATE_CONFIG=/nowhere", time.Second, []string{"https://file", "https://also"}, 7, true},
		{
			"--config " + file, "TIDEGATE_HEARTBEAT=2s TIDEGATE_CORS_ORIGIN=https://env;* TIDEGATE_NAMESPACE=chat=events:8;a=events:1 TIDEGATE_RETRYABLE_REJECTIONS=0",
			2 * time.Second, []string{"https://env", "*"}, 8, false,
		},
		{
			"--config " + file + " --heartbeat=3s --cors-origin https://flag --cors-origin https://two --namespace chat=events:9 --retryable-rejections",
			"TIDEGATE_HEARTBEAT=2s TIDEGATE_CORS_ORIGIN=https://env TIDEGATE_NAMESPACE=chat=events:8 TIDEGATE_RETRYABLE_REJECTIONS=false",
			3 * time.Second, []string{"https://flag", "https://two"}, 9, true,
		},
		{"--config " + file + " --cors-origin= --retryable-rejections=false", "TIDEGATE_CORS_ORIGIN=https://env", time.Second, nil, 7, false},
		{"--heartbeat 4s --heartbeat 5s", "", 5 * time.Second, nil, 0, false},
	}
	for _, tt := range tests {
		cfg := mustLoad(t, "gateway", tt.args, tt.env)
		if cfg.Heartbeat != tt.heartbeat || cfg.RetryableRejections != tt.retryable || cfg.Namespaces["chat"].Events != tt.chat {
			t.Errorf("Load(%q, %q) = heartbeat %v, retryable %v, chat %v; want %v, %v, %v", tt.args, tt.env,
				cfg.Heartbeat, cfg.RetryableRejections, cfg.Namespaces["chat"].Events, tt.heartbeat, tt.retryable, tt.chat)
		}
		if diff := cmp.Diff(tt.origins, cfg.CORSOrigins); diff != "" {
			t.Errorf("Load(%q, %q): origins (-want +got):\n%s", tt.args, tt.env, diff)
		}
	}
}

// Each line says where, what, and what would be right.
func TestAllErrorsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, `heartbeat: 5
heartbaet: 7s
listen:
listen: :80
namespace:
  task: {events: 0, evnts: 1}
  "a=b": {events: 1}
  chat: none
max-body: [1MiB]
max-pending: &x {a: b}
cors-origin: [https://a/, null, https://b]
config: other.yaml
`)
	args := []string{
		"--config", file, "stray", "--write-timeout", "1s", "--heartbaet", "swallowed", "--task-workers=3", "-listen", ":80",
		"--max-age", "5", "--max-connections", "-1", "--log-level=loud", "---x", "--tls-cert", "/nowhere/cert.pem",
		"--namespace", "task=events:5", "--namespace", "task", "--namespace", "t:k=events:1", "--namespace", "x=bytes:1,rplay:all", "behind", "--retry",
	}
	env := []string{"TIDEGATE_MAX_TOPICS=many", "TIDEGATE_CALLBACKURL=http://h/?secret=hunter2", "TIDEGATE_RETRY_ABLE=1", "TIDEGATE_CORS_ORIGIN=https://a,https://b", "PORT=0", "HOME=/root"}
	_, _, err := config.Load("gateway", args, env, io.Discard)
	want := []string{
		`FILE:1 key heartbeat: "5": give a duration from 100ms to 24h, such as 15s`,
		`FILE:2 key heartbaet: unknown key; did you mean heartbeat?`,
		`FILE:3 key listen: has no value; leave the key out, or give ""`,
		`FILE:4 key listen: is given twice, here and in line 3`,
		`FILE:6 key namespace.task.events: "0": give a whole number from 1 to 100000000`,
		`FILE:6 key namespace.task.evnts: unknown field; did you mean events?`,
		`FILE:7 key namespace.a=b: is no name of a namespace; give *, or letters, digits and ._~/@+-`,
		`FILE:8 key namespace.chat: give a map, with a key: value on each line`,
		`FILE:9 key max-body: give a single value`,
		`FILE:10 key max-pending: give a single value`,
		`FILE:11 key cors-origin: has no value; leave the key out, or give ""`,
		`FILE:11 key cors-origin: "https://a/": give * or an origin such as https://example.org, without a path`,
		`FILE:12 key config: a file cannot name another; leave it out`,
		`environment PORT: "0": give a whole number from 1 to 65535`,
		`environment TIDEGATE_CALLBACKURL: unknown variable; did you mean TIDEGATE_CALLBACK_URL?`,
		`environment TIDEGATE_RETRY_ABLE: unknown variable`,
		`environment TIDEGATE_CORS_ORIGIN: "https://a,https://b": give * or an origin such as https://example.org, without a path`,
		`environment TIDEGATE_MAX_TOPICS: "many": give a whole number from 1 to 100000000`,
		`flag --heartbaet: unknown flag; did you mean --heartbeat?`,
		`flag --task-workers: unknown flag of tidegate gateway; it belongs to tidegate serve or backend`,
		`flag -l: unknown flag; flags of more than one letter have two dashes: --listen`,
		`argument ---x: is no flag; write --name or --name=value`,
		`flag --retry: has no value`,
		`flag --log-level: "loud": give debug, info, warn or error`,
		`flag --tls-cert: "/nowhere/cert.pem": no such file or directory`,
		`flag --max-connections: "-1": give a whole number from 0 to 10000000`,
		`flag --max-age: "5": give 0 for never, or a duration from 1s to 8760h, such as 10s`,
		`flag --namespace: "task": give an entry such as task=events:10000,bytes:16MiB,age:24h,replay:all`,
		`flag --namespace: "t:k=events:1": "t:k" is no name of a namespace; give *, or letters, digits and ._~/@+-`,
		`flag --namespace: "x=bytes:1,rplay:all": bytes "1": give a size from 1KiB to 1TiB, such as 1MiB; unknown field "rplay"; did you mean replay?`,
		`argument after --config: tidegate gateway takes only flags; a value with blanks must be in quotes, a switch is written --replace=false`,
		`argument after --namespace: tidegate gateway takes only flags; a value with blanks must be in quotes, a switch is written --replace=false`,
	}
	var got []string
	for _, line := range problems(t, err) {
		got = append(got, strings.Replace(line, file, "FILE", 1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(want) {
		t.Errorf("Error() has %d lines, want %d", lines, len(want))
	}
}

func TestFilesThatAreNoConfiguration(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"heartbeat: [", "FILE:1: is not YAML: did not find expected node content"},
		{"heartbeat: 1s\n\tx: 1", "FILE:2: is not YAML: found a tab character that violates indentation"},
		{"- heartbeat", "FILE:1: give a map, with a key: value on each line"},
		{"heartbeat", "FILE:1: give a map, with a key: value on each line"},
		{"heartbeat: 1s\n---\nretry: 1s", "FILE:2: a second document begins; give one"},
		{"? {a: b}\n: c", "FILE:1: a key has to be a word"},
		{"heartbeat: !!binary aGVsbG8=", "FILE:1 key heartbeat: begins with a tag (!…); give a plain value, in quotes if it begins with !"},
		{"<<: {heartbeat: 1s}", "FILE:1 key <<: unknown key"},
		{"max_pending: 1MiB", "FILE:1 key max_pending: unknown key; did you mean max-pending?"},
		{"maxPending: 1MiB", "FILE:1 key maxPending: unknown key; did you mean max-pending?"},
		{"\"a\\nb\": 1", `FILE:1 key "a\nb": unknown key`},
		{"listen: \"a\\nb\"", `FILE:1 key listen: "a\nb": holds the unprintable character U+000A`},
		{strings.Repeat("#", 1<<20+1), `flag --config: "FILE": is larger than 1MiB`},
	}
	for _, tt := range tests {
		file := write(t, tt.text)
		_, err := load(t, "gateway", "--config "+file, "")
		got := strings.ReplaceAll(strings.Join(problems(t, err), "\n"), file, "FILE")
		if got != tt.want {
			t.Errorf("%.40q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
	for _, path := range []string{"/nowhere/tidegate.yaml", t.TempDir()} {
		if _, err := load(t, "gateway", "", "TIDEGATE_CONFIG="+path); !strings.HasPrefix(problems(t, err)[0], `environment TIDEGATE_CONFIG: "`+path+`": `) {
			t.Errorf("error of a file that cannot be read: %v", err)
		}
	}
}

func TestFilesWithoutSettings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n", "~\n", "namespace: {}\n"} {
		if got := mustLoad(t, "gateway", "--config "+write(t, text), "").Heartbeat; got != 15*time.Second {
			t.Errorf("%q: heartbeat %v, want the default", text, got)
		}
	}
}

// Aliases are YAML's way to say a thing once.
func TestFileAliases(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "gateway", "--config "+write(t, "heartbeat: &h 2s\nwrite-timeout: *h\nnamespace:\n  a: &n {events: 3}\n  b: *n\n"), "")
	if cfg.WriteTimeout != 2*time.Second || cfg.Namespaces["b"].Events != 3 {
		t.Errorf("write-timeout %v, namespace b %+v", cfg.WriteTimeout, cfg.Namespaces["b"])
	}
}

func TestUnknownNamesSuggestTheNearest(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, env, want string }{
		{"--heartbeet 1s", "", "did you mean --heartbeat?"},
		{"--hartbeat=1s", "", "did you mean --heartbeat?"},
		{"--maxpending 1", "", "did you mean --max-pending?"},
		{"--callback_url x", "", "did you mean --callback-url?"},
		{"--port 3000", "", "did you mean --listen?"},
		{"--xyzzy", "", ""},
		{"", "TIDEGATE_LISTNE=:80", "did you mean TIDEGATE_LISTEN?"},
		{"", "TIDEGATE_PORT=3000", "did you mean TIDEGATE_LISTEN?"},
		{"", "TIDEGATE_XYZZY=1", ""},
		{"", "TIDEGATE_heartbeat=1s", "did you mean TIDEGATE_HEARTBEAT?"},
	}
	for _, tt := range tests {
		_, err := load(t, "gateway", tt.args, tt.env)
		lines := problems(t, err)
		if len(lines) != 1 || !strings.HasSuffix(lines[0], tt.want) || tt.want == "" && strings.Contains(lines[0], "did you mean") {
			t.Errorf("Load(%q, %q): %q, want one line that ends in %q", tt.args, tt.env, lines, tt.want)
		}
	}
}

func TestWordsBehindConfig(t *testing.T) {
	t.Parallel()
	_, words, err := config.Load("config", []string{"print", "--heartbeat", "1s", "--replace", "a", "--", "--retry"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"print", "a", "--retry"}, words); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestServiceLinksOfKubernetesAreIgnored(t *testing.T) {
	t.Parallel()
	mustLoad(t, "serve", "", "TIDEGATE_SERVICE_HOST=10.0.0.7 TIDEGATE_SERVICE_PORT=80 TIDEGATE_SERVICE_PORT_HTTP=80 TIDEGATE_PORT=tcp://10.0.0.7:80 "+
		"TIDEGATE_PORT_80_TCP=tcp://10.0.0.7:80 TIDEGATE_PORT_80_TCP_PROTO=tcp TIDEGATE_PORT_80_TCP_PORT=80 TIDEGATE_PORT_80_TCP_ADDR=10.0.0.7 "+
		"TIDEGATE_GATEWAY_SERVICE_HOST=10.0.0.8 TIDEGATE_GATEWAY_PORT=tcp://10.0.0.8:80 TIDEGATE_GATEWAY_PORT_53_UDP=udp://10.0.0.8:53")
}

// A setting with the name that the program had before would be lost without a word.
func TestVariablesOfTheFormerName(t *testing.T) {
	t.Parallel()
	env := "SLUICE_HEARTBEAT=5s SLUICE_TASK_WORKERS=2 SLUICE_JSON=1 SLUICE_COLOUR=red TIDEGATE_RETRY=1s"
	_, err := load(t, "gateway", "", env)
	now, gone := "the program is called Tidegate now: set ", "the program is called Tidegate now and has no such setting: delete it"
	want := []string{
		"environment SLUICE_COLOUR: " + gone + ", see docs/guides/migration.md",
		"environment SLUICE_HEARTBEAT: " + now + "TIDEGATE_HEARTBEAT instead, see docs/guides/migration.md",
		"environment SLUICE_JSON: " + now + "TIDEGATE_JSON instead, see docs/guides/migration.md",
		"environment SLUICE_TASK_WORKERS: " + now + "TIDEGATE_TASK_WORKERS instead, see docs/guides/migration.md",
	}
	if diff := cmp.Diff(want, problems(t, err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if _, err := config.Parse(pflag.NewFlagSet("listen", pflag.ContinueOnError), "listen", nil, strings.Fields(env)); err == nil || len(problems(t, err)) != 4 {
		t.Errorf("a client's error is %v, want the same four", err)
	}
	mustLoad(t, "serve", "", "SLUICE_SERVICE_HOST=10.0.0.7 SLUICE_PORT=tcp://10.0.0.7:80 SLUICE_GATEWAY_PORT_53_UDP=udp://10.0.0.8:53")
}

// A setting of another command that an environment or a file has in common is checked, reported and not used.
func TestSettingsOfOtherCommands(t *testing.T) {
	t.Parallel()
	file := write(t, "task-workers: 9\n")
	cfg := mustLoad(t, "gateway", "--callback-url http://b/ --config "+file, "TIDEGATE_GATEWAY_URL=http://g TIDEGATE_JSON=1")
	if cfg.TaskWorkers != 4 || cfg.GatewayURL != "http://127.0.0.1:8081" {
		t.Errorf("gateway uses task-workers %d, gateway-url %s", cfg.TaskWorkers, cfg.GatewayURL)
	}
	want := []string{file + ":1: tidegate gateway has no task-workers", "environment TIDEGATE_GATEWAY_URL: tidegate gateway has no gateway-url"}
	if diff := cmp.Diff(want, cfg.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	_, err := load(t, "gateway", "", "TIDEGATE_TASK_WORKERS=none")
	if got := problems(t, err); !strings.HasPrefix(got[0], `environment TIDEGATE_TASK_WORKERS: "none": give`) {
		t.Errorf("a bad value for another command: %q", got)
	}
}
