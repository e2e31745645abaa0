package config_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/config"
)

func TestRulesBetweenSettings(t *testing.T) {
	t.Parallel()
	pem := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(pem, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ cmd, args, env, want string }{ // want is the beginning of the only problem, "" for none
		{"gateway", "--tls-cert " + pem, "", `flag --tls-cert: "` + pem + `": needs --tls-key`},
		{"gateway", "--nats-url nats://a --data d", "", `flag --nats-url: "nats://a": and data d exclude each other: storage is either external or embedded`},
		{"gateway", "--nats-listen 127.0.0.1:1", "", `flag --nats-listen: "127.0.0.1:1": needs embedded storage: give --data, and leave out --nats-url`},
		{"serve", "--nats-listen 127.0.0.1:1 --nats-token short", "", `flag --nats-token: is shorter than 16 characters; make one with: openssl rand -hex 32`},
		{"serve", "--nats-listen 10.0.0.1:1 --nats-token sixteen-or-more-t", "", `flag --nats-listen: "10.0.0.1:1": is not a loopback address: set --nats-token, --nats-cert and --nats-key, or give an address such as 127.0.0.1:4222`},
		{"serve", "--nats-cert " + pem, "", `flag --nats-cert: "` + pem + `": and --nats-key go together`},
		{"serve", "--nats-password p", "", `flag --nats-password: needs --nats-user`},
		{"serve", "--nats-creds " + pem + " --nats-token t", "", `flag --nats-creds: "` + pem + `": is one of several ways to log in: give one of --nats-creds, --nats-nkey, --nats-token and --nats-user`},
		{"serve", "--nats-url nats://u:p@h", "", `flag --nats-url: "nats://<set>@h": has a user or password, which logs would show; use --nats-user, --nats-token or --nats-creds`},
		{"serve", "--nats-url nats://a:1,b", "", `flag --nats-url: "nats://a:1,b": give a URL such as nats://127.0.0.1:4222 or tls://nats.example.org, or several with commas between them`},
		{"serve", "--nats-prefix A", "", `flag --nats-prefix: "A": give 1 to 32 of a-z, 0-9, _ and -`},
		{"gateway", "--tls-key " + pem, "", `flag --tls-key: "` + pem + `": needs --tls-cert`},
		{"gateway", "--tls-key " + pem + " --tls-cert " + pem, "", ""},

		{"gateway", "--internal-listen :9000", "", `flag --internal-listen: ":9000": is not a loopback address`},
		{"serve", "", "TIDEGATE_INTERNAL_LISTEN=0.0.0.0:9000", `environment TIDEGATE_INTERNAL_LISTEN: "0.0.0.0:9000": is not a loopback address`},
		{"gateway", "--internal-listen gateway.local:9000", "", `flag --internal-listen: "gateway.local:9000": is not a loopback address`},
		{"gateway", "--internal-listen [::]:9000", "", `flag --internal-listen: "[::]:9000": is not a loopback address`},
		{"gateway", "--internal-listen :9000 --internal-secret 0123456789abcdef", "", ""},
		{"gateway", "--internal-listen :9000", "TIDEGATE_INTERNAL_SECRET=0123456789abcdef", ""},
		{"gateway", "--internal-listen localhost:9000", "", ""},
		{"gateway", "--internal-listen [::1]:9000", "", ""},
		{"gateway", "--internal-listen [::ffff:127.0.0.1]:9000", "", ""},
		{"gateway", "--internal-listen shared", "", `flag --internal-listen: "shared": puts the internal API on port 8080, where others could send events to every stream: give --internal-secret SECRET (or file:PATH), or --internal-open`},
		{"gateway", "--internal-listen shared", "PORT=3000", `flag --internal-listen: "shared": puts the internal API on port 3000`},
		{"gateway", "--internal-listen shared --listen 127.0.0.1:80", "", ""},
		{"gateway", "--internal-listen shared --internal-open", "", ""},
		{"gateway", "--internal-listen :9000 --internal-open", "", ""},
		{"gateway", "--internal-listen :9000 --metrics-token 0123456789abcdef", "", `flag --internal-listen: ":9000": is not a loopback address`},
		{"gateway", "--internal-secret s", "", "flag --internal-secret: is shorter than 16 characters"},
		{"gateway", "--internal-secret=", "", "flag --internal-secret: is empty"},
		{"gateway", "--internal-secret file:/none/such", "", "flag --internal-secret: stat /none/such: no such file"},
		{"serve", "--listen :8080", "", `flag --listen: ":8080": is reachable for other machines, which could start, read, cancel and remove tasks: give --api-token SECRET (or file:PATH), or --auth-header HEADER with --trusted-proxy for a proxy that says who calls, or --api-open`},
		{"serve", "--listen app.example.org:8080", "", `flag --listen: "app.example.org:8080": is reachable`},
		{"serve", "--listen [::]:8080", "", `flag --listen: "[::]:8080": is reachable`},
		{"backend", "--mode development --listen 0.0.0.0:1", "", `flag --listen: "0.0.0.0:1": is reachable`},
		{"serve", "--listen :8080 --api-open", "", ""},
		{"serve", "--listen :8080 --api-token 0123456789abcdef", "", ""},
		{"serve", "--listen :8080 --auth-header X-User --trusted-proxy 10.0.0.1", "", ""},
		{"serve", "--auth-header X-User", "", `flag --auth-header: "X-User": counts only if a trusted proxy sends it: name the proxy with --trusted-proxy`},
		{"serve", "--auth-header authorization --trusted-proxy 10.0.0.1", "", `flag --auth-header: "authorization": has another meaning`},
		{"serve", "--auth-header X_User --trusted-proxy 10.0.0.1", "", `flag --auth-header: "X_User": give the name of a header`},
		{"serve", "--allowed-host *", "", `flag --allowed-host: "*": allows every name`},
		{"backend", "--mode development --internal-listen :1", "", `flag --internal-listen: ":1": is reachable for other machines, which could read the metrics`},
		{"backend", "--mode development --internal-listen :1 --metrics-token 0123456789abcdef", "", ""},
		{"backend", "--mode development --internal-listen :1 --internal-secret 0123456789abcdef", "", ""},
		{"backend", "--mode development --internal-listen 127.0.0.1:8082", "", `flag --internal-listen: "127.0.0.1:8082": has the port`},
		// A secret that was refused is reported alone.
		{"gateway", "--internal-listen :9000 --internal-secret <set>", "", "flag --internal-secret: replaces a secret"},

		{"gateway", "--listen :8081", "", `flag --internal-listen: "127.0.0.1:8081": has the port of --listen :8081`},
		{"gateway", "", "PORT=8081", `flag --internal-listen: "127.0.0.1:8081": has the port of --listen :8081`},
		{"gateway", "--listen 127.0.0.1:9 --internal-listen 127.0.0.1:9", "", `flag --internal-listen: "127.0.0.1:9": has the port`},
		{"gateway", "--listen 127.0.0.2:8081", "", ""},
		{"gateway", "--listen 127.0.0.1:0 --internal-listen 127.0.0.1:0", "", ""},

		{"gateway", "--max-body 32MiB", "", `flag --max-batch: "16MiB": is smaller than --max-body 32MiB`},
		{"gateway", "--max-body 32MiB --max-batch 32MiB --max-pending 64MiB", "", ""},

		{"backend", "", "", "flag --callback-secret: is missing: in production mode callbacks need a secret"},
		{"backend", "--mode production", "TIDEGATE_CALLBACK_SECRET=0123456789abcdef", ""},
		{"backend", "--mode development", "", ""},
		{"backend", "--mode testing", "", ""},
		{"serve", "", "", ""},
		{"gateway", "", "", ""},
		{"config", "", "", ""},
	}
	for _, tt := range tests {
		_, err := load(t, tt.cmd, tt.args, tt.env)
		if tt.want == "" {
			if err != nil {
				t.Errorf("tidegate %s %s %s: %v", tt.env, tt.cmd, tt.args, err)
			}
			continue
		}
		if got := problems(t, err); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("tidegate %s %s %s: %q, want %q", tt.env, tt.cmd, tt.args, got, tt.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cmd, args string
		want      []string
	}{
		{"serve", "", nil},
		{"serve", "--internal-secret 0123456789abcdef --internal-open", []string{"internal-open has no effect, because internal-secret is set"}},
		{"serve", "--api-token 0123456789abcdef --api-open", []string{"api-open has no effect, because api-token or auth-header is set"}},
		{"serve", "--internal-listen shared --listen 127.0.0.1:80", nil},
		{"serve", "--internal-listen shared --internal-secret 0123456789abcdef", nil},
		{"gateway", "", []string{"callback-url is not set: the gateway refuses every stream with 503"}},
		{"gateway", "--callback-url http://b --max-pending 64KiB", []string{"max-pending is smaller than max-body: an event larger than max-pending ends every stream that receives it; raise max-pending"}},
		{"backend", "--mode development", nil},
		{"config", "--internal-listen shared", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, mustLoad(t, tt.cmd, tt.args, "").Warnings(), ignoreOrigins); diff != "" {
			t.Errorf("tidegate %s %s: warnings (-want +got):\n%s", tt.cmd, tt.args, diff)
		}
	}
	if w := new(config.Config).Warnings(); len(w) > 0 {
		t.Errorf("warnings of a Config that was not loaded: %q", w)
	}
}

// A secret is in no error, no warning, no help and no printed configuration, however it was given.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	const s = "hunter2-hunter2-hunter2"
	file := func(text string) []string { return []string{"--config", write(t, text)} }
	tests := []struct {
		args []string
		env  string
	}{
		{args: []string{"--internal-secret", s}},
		{args: []string{"--internal-secret", s, "--help"}},
		{args: []string{"--internal-secret", "two " + s}},
		{args: []string{"--internal-secret", "two", s}},
		{args: []string{"--internal-secret", "two", "three", s}},
		{args: []string{"--internal-secret=", s}},
		{args: []string{"--internal-secert", s}},
		{args: []string{"--internal-secert=" + s}},
		{args: []string{"---internal-secret=" + s}},
		{args: []string{"-internal-secret=" + s}},
		{args: []string{"-internal-secret", s}},
		{args: []string{"--callback-secret", s + "\n"}},
		{args: []string{"--callback-secret", s + "\xff"}},
		{args: []string{"--callback-url", "http://h/cb?secret=" + s}},
		{args: []string{"--callback-url", "http://h/cb?" + s}},
		{args: []string{"--callback-url", "h/cb?secret=" + s}},
		{args: []string{"--callback-url", "http://user:" + s + "@h/"}},
		{args: []string{"--callback-url", "http://user:a?b#c@d/" + s + "@h/"}},
		{args: []string{"--callback-url", "user:" + s + "@h/"}},
		{args: []string{"--callback-url", "http://h/?a=1;b=" + s + "\x01"}},
		{args: []string{"--frontend-version-url", "ftp://h/?key=" + s}},
		{args: []string{"--gateway-url", "http://" + s + "@h/"}},
		{env: "TIDEGATE_INTERNAL_SECRET=" + s},
		{env: "TIDEGATE_INTERNAL_SECRET=" + s + ";" + s + "2"},
		{env: "TIDEGATE_METRICS_TOKEN=" + s + ";short"},
		{env: "TIDEGATE_INTERNAL_SECRET=" + s + "\t"},
		{env: "TIDEGATE_INTERNAL_SECERT=" + s},
		{env: "CALLBACK_URL=http://user:" + s + "@h/"},
		{env: "CALLBACK_URL=nowhere?secret=" + s},
		{args: file("internal-secret: " + s)},
		{args: file("internal-secret: |\n  " + s + "\n")},
		{args: file("internal-secret: [" + s + "]")},
		{args: file("internal-secret: {" + s + ": 1}")},
		{args: file("internal-secret: *" + s)},
		{args: file("internal-secret: !" + s + " x")},
		{args: file("internal-secret: '" + s)},
		{args: file("internal-secret: @" + s)},
		{args: file("internal-secret: %" + s)},
		{args: file("internal-secret: \"\\" + s + "\"")},
		{args: file("internal-secert: " + s)},
		{args: file("callback-url: http://h/?secret=" + s)},
	}
	for _, tt := range tests {
		var out strings.Builder
		cfg, _, err := config.Load("gateway", tt.args, []string{tt.env}, &out)
		if err != nil {
			out.WriteString(err.Error())
		} else if err := cfg.Print(&out); err != nil {
			t.Fatal(err)
		} else {
			out.WriteString(strings.Join(cfg.Warnings(), "\n"))
		}
		if strings.Contains(out.String(), s) {
			t.Errorf("%q %q shows the secret:\n%s", tt.args, tt.env, out.String())
		}
		if out.Len() == 0 {
			t.Errorf("%q %q shows nothing", tt.args, tt.env)
		}
	}
}

func TestLegacyVariables(t *testing.T) {
	t.Parallel()
	tests := []struct{ env, want string }{ // want is listen, callback-url and heartbeat, or the beginning of the problem
		{"", ":8080  15s"},
		{"PORT= CALLBACK_URL= HEARTBEAT_INTERVAL_SECONDS=", ":8080  15s"},
		{"PORT=3000 CALLBACK_URL=http://b/cb?secret=x HEARTBEAT_INTERVAL_SECONDS=30", ":3000 http://b/cb?secret=x 30s"},
		{"PORT=0x36D", ":877  15s"},
		{"PORT=0o17", ":15  15s"},
		{"PORT=0B101", ":5  15s"},
		{"PORT=8e3", ":8000  15s"},
		{"PORT=8080.0", ":8080  15s"},
		{"PORT=+80", ":80  15s"},
		{"PORT=65535", ":65535  15s"},
		{"PORT=0", "environment PORT: "},
		{"PORT=65536", "environment PORT: "},
		{"PORT=70000", "environment PORT: "},
		{"PORT=87.5", "environment PORT: "},
		{"PORT=abc", "environment PORT: "},
		{"PORT=-1", "environment PORT: "},
		{"PORT=Infinity", "environment PORT: "},
		{"PORT=NaN", "environment PORT: "},
		{"PORT=3_000", "environment PORT: "},
		{"PORT=0x_1", "environment PORT: "},
		{"PORT=0x", "environment PORT: "},
		{"PORT=1e400", "environment PORT: "},
		{"HEARTBEAT_INTERVAL_SECONDS=1", ":8080  1s"},
		{"HEARTBEAT_INTERVAL_SECONDS=86400", ":8080  24h0m0s"},
		{"HEARTBEAT_INTERVAL_SECONDS=0", "environment HEARTBEAT_INTERVAL_SECONDS: "},
		{"HEARTBEAT_INTERVAL_SECONDS=1.5", "environment HEARTBEAT_INTERVAL_SECONDS: "},
		{"HEARTBEAT_INTERVAL_SECONDS=15s", "environment HEARTBEAT_INTERVAL_SECONDS: "},
		{"CALLBACK_URL=nowhere", `environment CALLBACK_URL: "nowhere": give a URL`},
		{"CALLBACK_URL=http://u:p@h/", `environment CALLBACK_URL: "http://<set>@h/": has a user or password`},
		// Ours come first, and then theirs are not even looked at.
		{"PORT=abc TIDEGATE_LISTEN=:1 CALLBACK_URL=x TIDEGATE_CALLBACK_URL=http://s HEARTBEAT_INTERVAL_SECONDS=0 TIDEGATE_HEARTBEAT=2s", ":1 http://s 2s"},
	}
	for _, tt := range tests {
		cfg, err := load(t, "gateway", "", tt.env)
		if err != nil {
			if got := problems(t, err); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("%s: %q, want %q", tt.env, got, tt.want)
			}
			continue
		}
		if got := cfg.Listen + " " + cfg.CallbackURL + " " + cfg.Heartbeat.String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.env, got, tt.want)
		}
	}
}

// Blanks around a number were accepted, a variable of nothing but blanks was not.
func TestLegacyPortWithBlanks(t *testing.T) {
	t.Parallel()
	cfg, _, err := config.Load("gateway", nil, []string{"PORT= 80\t"}, io.Discard)
	if err != nil || cfg.Listen != ":80" {
		t.Errorf(`PORT=" 80\t": %v`, err)
	}
	if _, _, err := config.Load("gateway", nil, []string{"PORT= "}, io.Discard); err == nil {
		t.Error(`PORT=" " is accepted`)
	}
}

// GW-19: an interval of 30 days made a timer overflow and beat hundreds of times a second.
func TestGW19HeartbeatHasAnUpperBound(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"HEARTBEAT_INTERVAL_SECONDS=2592000", "TIDEGATE_HEARTBEAT=720h"} {
		if _, err := load(t, "gateway", "", env); err == nil {
			t.Errorf("%s is accepted", env)
		}
	}
}

func TestLegacyBeatsTheFileAndIsBeatenByTheFlag(t *testing.T) {
	t.Parallel()
	file := write(t, "listen: :1\nheartbeat: 1s\n")
	cfg := mustLoad(t, "gateway", "--heartbeat 3s --config "+file, "PORT=2 HEARTBEAT_INTERVAL_SECONDS=2")
	if cfg.Listen != ":2" || cfg.Heartbeat.String() != "3s" {
		t.Errorf("listen %s, heartbeat %v; want :2, 3s", cfg.Listen, cfg.Heartbeat)
	}
}

func TestLegacyIsOfTheGatewayAlone(t *testing.T) {
	t.Parallel()
	if got := mustLoad(t, "serve", "", "PORT=abc CALLBACK_URL=x").Listen; got != "127.0.0.1:8080" {
		t.Errorf("serve listens on %s", got)
	}
}

// TestX10NoSecretOfAURLIsShown: in its path, its query or before its host, in what is printed and in errors.
func TestX10NoSecretOfAURLIsShown(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"callback-url", "frontend-version-url"} {
		for _, url := range []string{
			"https://h/hooks/s3cr3t", "https://h/s3cr3t", "https://h/api/s3cr3t/callback", "https://h/callback/s3cr3t/", "https://h//s3cr3t",
			"https://h/callback?a=s3cr3t", "https://h/callback?s3cr3t", "https://h/callback;s3cr3t", "https://h/%2fs3cr3t", "https://h/CALLBACK-s3cr3t",
		} {
			cfg, _, err := config.Load("config", []string{"--" + setting, url}, nil, io.Discard)
			if err != nil {
				t.Errorf("--%s %s: %v", setting, url, err)
				continue
			}
			var out bytes.Buffer
			if err := cfg.Print(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "s3cr3t") {
				t.Errorf("--%s %s is printed:\n%s", setting, url, out.String())
			}
		}
		for _, url := range []string{"https://u:s3cr3t@h/", "https://s3cr3t@h/", "ftp://h/s3cr3t", "h/s3cr3t", "https:/s3cr3t", "https://h/s3cr3t#f", "https://h:x/s3cr3t", "//h/s3cr3t", "https://h/\x01/s3cr3t"} {
			_, _, err := config.Load("config", []string{"--" + setting, url}, nil, io.Discard)
			if err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("--%s %q: error %v, want one without the secret", setting, url, err)
			}
		}
	}
	cfg, _, err := config.Load("config", []string{"--callback-url", "http://127.0.0.1:8082/api/sse/callback"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cfg.Print(&out); err != nil || !strings.Contains(out.String(), "http://127.0.0.1:8082/api/sse/callback ") {
		t.Errorf("a usual path is not shown: %v\n%s", err, out.String())
	}
}
