package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"tidegate/internal/config"
)

// ignoreOrigins compares what a Config says, not where it comes from.
var ignoreOrigins = cmp.Options{cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty()}

func TestValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct{ name, good, bad string }{
		{"log-level", "debug info warn error", "INFO info+2 4 trace"},
		{"log-format", "text json", "logfmt JSON"},
		{"listen", ":80 127.0.0.1:0 [::1]:8080 localhost:65535 host.example:1 [fe80::1%eth0]:1", "80 :65536 :http host 1.2.3.4 [::1] ::1:80 :-1 a_b/c:1 http://h:1 shared"},
		{"internal-listen", "shared localhost:1 [::1]:2 127.0.0.2:3", "Shared share"},
		{"internal-secret", "0123456789s3cr=t;, 0123456789abcdef", "<set> x 0123456789abcde 0123456789äöüß file: file:/ file:/dev/zero file:/dev/null"},
		{"allowed-host", "a a.b *.a.b A.B. a.b:80 10.0.0.1", "* a.*.b http://a a/b a,b *a.b bücher.de"},
		{"auth-header", "", "X_User X:User Authorization cookie Host X-User;"},
		{"callback-url", "http://h https://h:8443/p?secret=x&y http://[::1]:80/ HTTP://h/", "h h:80 ftp://h /p http:// http://:80 http:h//p http://h:port http://h:0 http://h: http://u@h http://u:p@h http://h/#f http://h/?secret=<set>"},
		{"gateway-url", "http://h https://h/prefix http://h:8081/", "http://h/internal http://h/internal/ http://h/internal/send http://h/?a=b http://h? http://u:p@h"},
		{"callback-timeout", "10ms 1.5s 5m", "5 0 1ms 5m1s -1s five"},
		{"heartbeat", "100ms 15s 24h", "0 99ms 24h1s 2592000s"},
		{"heartbeat-form", "block line", "Line lines none"},
		{"id-blocks", "true false 1 0", "yes on 2"},
		{"retry", "0 0s 1ms 3s", "-1s 1us 25h"},
		{"max-pending", "4096 4KiB 1GiB 1mb 512kib 2MiB", "4095 2GiB 1M 1.5MiB -4KiB 1KKiB MiB 99999999999TiB 0x1000"},
		{"max-connections", "0 15000 10000000", "-1 1e3 0x10 10000001 99999999999999999999"},
		{"cors-origin", "* https://a http://a.b:8080 https://[::1]:1 HTTPS://UPPER capacitor://localhost", "a https:// https://a/ https://a/b https://a?b null https://*.a"},
		{"retryable-rejections", "true false 1 0", "yes on 2"},
		{"mode", "production development testing", "Production staging prod"},
		{"checksum-root", ". /usr " + dir, "/nowhere /dev/null / // /. /../ /usr/.."},
		{"grace", "0 1ms 24h", "-1s 25h"},
		{"namespace", "*=events:1 a=age:0 a=replay:none,events:5 A.b_c~/@+-1=bytes:1KiB Über=events:2", "a =events:1 a= a=events a=events: a=events:0 a=age:-1s a=age:999999h a=replay:some a=bytes:1 a=event:1 a:b=events:1 **=events:1 a=events:1;b=events:1"},
	}
	for _, tt := range tests {
		for text := range strings.FieldsSeq(tt.good) {
			if _, err := load(t, "config", "--"+tt.name+"="+text, ""); err != nil {
				t.Errorf("--%s=%s: %v", tt.name, text, err)
			}
		}
		for text := range strings.FieldsSeq(tt.bad) {
			_, err := load(t, "config", "--"+tt.name+"="+text, "")
			if err == nil {
				t.Errorf("--%s=%s is accepted", tt.name, text)
				continue
			}
			if got := problems(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "flag --"+tt.name+": ") {
				t.Errorf("--%s=%s: %q, want one line about the flag", tt.name, text, got)
			}
		}
	}
}

func TestEmptyValues(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"callback-url", "tls-cert", "cors-origin", "checksum-root", "namespace", "frontend-version-url", "config"} {
		if _, err := load(t, "config", "--"+name+"=", ""); err != nil {
			t.Errorf("--%s= : %v", name, err)
		}
	}
	for _, name := range []string{"listen", "internal-secret", "gateway-url", "heartbeat", "max-body", "mode", "max-connections", "replace", "log-level"} {
		if _, err := load(t, "config", "--"+name+"=", ""); err == nil {
			t.Errorf("--%s= is accepted", name)
		}
	}
	if got := mustLoad(t, "serve", "", "TIDEGATE_CHECKSUM_ROOT=").ChecksumRoots; len(got) != 0 {
		t.Errorf("an empty checksum-root leaves %q", got)
	}
}

func TestValuesAreKeptInOneForm(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "config", "--gateway-url http://h/p/ --cors-origin HTTPS://Example.ORG --max-body 1MB --log-level warn", "")
	if cfg.GatewayURL != "http://h/p" || cfg.CORSOrigins[0] != "https://example.org" || cfg.MaxBody != 1_000_000 || cfg.LogLevel.String() != "WARN" {
		t.Errorf("got %s, %s, %d, %v", cfg.GatewayURL, cfg.CORSOrigins[0], cfg.MaxBody, cfg.LogLevel)
	}
	// The query may hold a secret in whatever encoding the backend wants.
	const callback = "http://h/cb?secret=a%2Fb+c&&x"
	if got := mustLoad(t, "gateway", "--callback-url "+callback, "").CallbackURL; got != callback {
		t.Errorf("callback-url is %s, want it byte for byte", got)
	}
}

func TestNamespacesOverrideOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		name string
		want config.Namespace
	}{
		{"--namespace task=events:5", "task", config.Namespace{Events: 5, Bytes: 16 << 20, Age: 24 * time.Hour, Replay: "all"}},
		{"--namespace task=events:5 --namespace task=age:1h,events:6", "task", config.Namespace{Events: 6, Bytes: 16 << 20, Age: time.Hour, Replay: "all"}},
		{"--namespace chat=age:0", "chat", config.Namespace{Events: 1000, Bytes: 4 << 20, Age: 0, Replay: "held"}},
		{"--namespace chat=age:0 --namespace *=events:7,replay:last", "chat", config.Namespace{Events: 7, Bytes: 4 << 20, Age: 0, Replay: "last"}},
		{"--namespace *=events:7,replay:last", "*", config.Namespace{Events: 7, Bytes: 4 << 20, Age: time.Hour, Replay: "last"}},
		{"--namespace *=events:7", "version", config.Namespace{Events: 1, Bytes: 1 << 20, Replay: "last"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, mustLoad(t, "gateway", tt.args, "").Namespaces[tt.name]); diff != "" {
			t.Errorf("%s: namespace %s (-want +got):\n%s", tt.args, tt.name, diff)
		}
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want int64
		back string
	}{
		{"0", 0, "0"}, {"1048576", 1 << 20, "1MiB"}, {"512KiB", 512 << 10, "512KiB"}, {"1MB", 1e6, "1000000"},
		{"1500 B", 1500, "1500"}, {"3 GiB", 3 << 30, "3GiB"}, {"2tib", 2 << 40, "2TiB"}, {"8191TiB", 8191 << 40, "8191TiB"},
	}
	for _, tt := range tests {
		var n config.ByteSize
		if err := n.Set(tt.text); err != nil || int64(n) != tt.want || n.String() != tt.back {
			t.Errorf("Set(%q) = %d %q, %v; want %d %q", tt.text, int64(n), n, err, tt.want, tt.back)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5MiB", "1K", "1iB", "1MiBiB", "1  MiB", "1MiB ", "9223372036854775808", "8388608TiB"} {
		n := config.ByteSize(7)
		if err := n.Set(text); err == nil || n != 7 {
			t.Errorf("Set(%q) = %d, %v; want an error and no change", text, n, err)
		}
	}
}
