package config_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/config"
	"tidegate/internal/markdown/pagetest"
)

// samples has for each setting a value that is not its default.
var samples = map[string]string{
	"log-level": "debug", "log-format": "json", "log-file": "/l",
	"listen": "127.0.0.1:1", "internal-listen": "shared", "internal-secret": "0123456789abcde1", "internal-open": "true", "allowed-host": "h.example", "api-token": "0123456789abcde2", "api-open": "true", "auth-header": "X-User", "metrics-token": "0123456789abcde3",
	"socket-mode": "666", "callback-ca": "/dev/null", "callback-cert": "/dev/null", "callback-key": "/dev/null", "callback-connection-age": "23s", "tls-cert": "/dev/null", "tls-key": "/dev/null",
	"trusted-proxy": "10.0.0.0/8", "max-per-address": "3", "connect-rate": "4", "max-header": "5KiB", "max-inflight": "6MiB",
	"callback-url": "http://h/cb?a=b", "callback-secret": "0123456789abcde2", "task-access": "token", "access-secret": "0123456789abcdef0123456789abcdef", "callback-timeout": "1s", "callback-concurrency": "2", "callback-retention": "3s", "callback-queue": "4",
	"heartbeat": "5s", "heartbeat-form": "line", "id-blocks": "false", "retry": "6s", "retryable-rejections": "true", "max-pending": "2MiB", "write-timeout": "8s", "max-connections": "9", "max-age": "10s", "no-parking": "true", "no-express": "true", "no-pacing": "true", "no-memory-tuning": "true",
	"cors-origin": "https://a", "cors-header": "X-A", "hsts": "24h", "callback-headers": "user-agent,x-a", "max-body": "11KiB", "max-batch": "12MiB", "max-history": "13MiB", "max-topics": "14", "namespace": "x=events:15",
	"gateway-url": "http://g", "mode": "testing", "task-workers": "16", "task-timeout": "17s", "task-retention": "18s", "task-queue": "19", "replace": "true",
	"data": "/d", "durability": "power", "store-size": "17MiB", "nats-url": "nats://n:1", "nats-listen": "127.0.0.1:2", "nats-prefix": "p",
	"nats-replicas": "3", "nats-token": "s3", "nats-user": "u", "nats-password": "s4", "nats-creds": "/dev/null", "nats-nkey": "/dev/null",
	"nats-ca": "/dev/null", "nats-cert": "/dev/null", "nats-key": "/dev/null",
	"frontend-version-url": "http://v", "frontend-version-interval": "20s", "checksum-root": "/usr", "task-types": "demo_task", "drain-time": "21s", "grace": "22s",
}

// together has what else must be given with some of them.
var together = map[string]string{
	"hsts": " --tls-cert=/dev/null --tls-key=/dev/null", "tls-cert": " --tls-key=/dev/null", "tls-key": " --tls-cert=/dev/null",
	"callback-cert": " --callback-key=/dev/null", "callback-key": " --callback-cert=/dev/null",
	"auth-header": " --trusted-proxy=10.0.0.1",
	"nats-cert":   " --nats-key=/dev/null", "nats-key": " --nats-cert=/dev/null", "nats-password": " --nats-user=u",
}

func TestEachSettingSetsOneField(t *testing.T) {
	t.Parallel()
	base := reflect.ValueOf(mustLoad(t, "config", "", "")).Elem()
	setBy := map[string]string{"File": "config"}
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		args := "--" + name + "=" + samples[name]
		args += together[name]
		got := reflect.ValueOf(mustLoad(t, "config", args, "")).Elem()
		for field := range base.Fields() {
			if !field.IsExported() || reflect.DeepEqual(base.FieldByIndex(field.Index).Interface(), got.FieldByIndex(field.Index).Interface()) {
				continue
			}
			if wanted := strings.ReplaceAll(name, "-", ""); together[name] != "" && !strings.EqualFold(field.Name, wanted) {
				continue
			}
			if other, twice := setBy[field.Name]; twice {
				t.Errorf("%s is set by --%s and --%s", field.Name, other, name)
			}
			setBy[field.Name] = name
		}
	}
	for field := range base.Fields() {
		if field.IsExported() && setBy[field.Name] == "" {
			t.Errorf("no setting sets %s, or samples lacks it", field.Name)
		}
	}
	if len(setBy) != len(samples)+1 {
		t.Errorf("%d settings set %d fields", len(samples)+1, len(setBy))
	}
}

func TestPrintIsAFileThatGivesTheSame(t *testing.T) {
	t.Parallel()
	var args []string
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		secret := strings.HasSuffix(name, "secret") || strings.HasSuffix(name, "token") || strings.HasSuffix(name, "password")
		if exclusive := name == "nats-url" || name == "nats-user" || name == "nats-nkey"; !secret && !exclusive && name != "callback-url" {
			args = append(args, "--"+name+"="+samples[name])
		}
	}
	for _, args := range [][]string{nil, args, {"--cors-origin=*", "--checksum-root=", "--namespace=Ü@1=age:0"}} {
		cfg, _, err := config.Load("config", args, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := cfg.Print(&out); err != nil {
			t.Fatal(err)
		}
		again := mustLoad(t, "config", "--config "+write(t, out.String()), "")
		again.File = ""
		if diff := cmp.Diff(cfg, again, ignoreOrigins); diff != "" {
			t.Errorf("printed and loaded again (-want +got):\n%s\nof\n%s", diff, out.String())
		}
	}
}

func TestPrintNamesSources(t *testing.T) {
	t.Parallel()
	file := write(t, "heartbeat: 2s\nnamespace:\n  a: {events: 1}\n")
	cfg := mustLoad(t, "gateway", "--retry 1s --callback-url http://h/?secret=x&y --config "+file, "TIDEGATE_MAX_BODY=2KiB PORT=3000 TIDEGATE_INTERNAL_SECRET=0123456789abcdef")
	var out bytes.Buffer
	if err := cfg.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"# Effective configuration of tidegate gateway.",
		"# File: " + file,
		"heartbeat: 2s  # " + file + ":1",
		"namespace:  # " + file + ":2",
		"  a: {events: 1, bytes: 4MiB, age: 1h, replay: held}",
		"retry: 1s  # flag --retry",
		"max-body: 2KiB  # environment TIDEGATE_MAX_BODY",
		"listen: :3000  # environment PORT",
		"internal-secret: [<set>]  # environment TIDEGATE_INTERNAL_SECRET",
		"callback-url: http://h/?secret=<set>&<set>  # flag --callback-url",
		"# callback-secret: is not set",
		"max-age: 0s  # default",
		"retryable-rejections: false  # default",
		"cors-origin: []  # default",
	} {
		if !strings.Contains("\n"+out.String(), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "task-workers") {
		t.Error("settings of other commands are printed")
	}
	// What is hidden must not be taken for the secret itself.
	_, err := load(t, "gateway", "--config "+write(t, out.String()), "")
	if got := problems(t, err); len(got) != 2 {
		t.Errorf("the printed configuration with hidden secrets: %q, want a problem for each", got)
	}
}

func TestHelpIsComplete(t *testing.T) {
	t.Parallel()
	for _, cmd := range []string{"serve", "gateway", "backend", "config"} {
		var out bytes.Buffer
		if _, _, err := config.Load(cmd, []string{"--nonsense", "--help"}, nil, &out); !errors.Is(err, config.ErrHelp) {
			t.Errorf("tidegate %s --help: %v, want ErrHelp", cmd, err)
		}
		for name := range samples {
			env := "TIDEGATE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			known := true
			if _, err := load(t, cmd, "--"+name+"="+samples[name], ""); err != nil {
				known = !strings.Contains(err.Error(), "unknown flag")
			}
			flag := regexp.MustCompile(`(?m)^  --` + name + `\b`)
			if flag.Match(out.Bytes()) != known || strings.Contains(out.String(), env+"]") != known {
				t.Errorf("help of %s: want --%s with %s: %v", cmd, name, env, known)
			}
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line); n > 110 {
				t.Errorf("help of %s has a line of %d characters: %s", cmd, n, line)
			}
		}
		for _, part := range []string{"Usage: tidegate " + cmd, "Examples:", "A flag beats", "TIDEGATE_CONFIG", "[default info, TIDEGATE_LOG_LEVEL]"} {
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), part) {
				t.Errorf("help of %s has no %q", cmd, part)
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	t.Parallel()
	if _, _, err := config.Load("serve", []string{"-h"}, nil, brokenWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("help: %v", err)
	}
	if err := mustLoad(t, "serve", "", "").Print(brokenWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Print: %v", err)
	}
}

func TestReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	pagetest.Check(t, "configuration.md", config.Reference())
}

// The page's example, its defaults of namespaces and its names are true.
func TestReferencePageIsRight(t *testing.T) {
	t.Parallel()
	page := string(config.Reference())
	_, example, _ := strings.Cut(page, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	cfg := mustLoad(t, "gateway", "--config "+write(t, example), "")
	if w := cfg.Warnings(); len(w) > 0 {
		t.Errorf("the example gives warnings: %q", w)
	}
	if cfg.Namespaces["chat"].Events != 500 || cfg.Namespaces["*"].Bytes != 256<<10 {
		t.Errorf("namespaces of the example: %v", cfg.Namespaces)
	}
	for name := range samples {
		if !strings.Contains(page, "\n### `--"+name+"`\n") {
			t.Errorf("no section for --%s", name)
		}
	}
	for _, row := range []string{"| 10000 | 1 | 1000 |", "| 16MiB | 1MiB | 4MiB |", "| 24h | 0 | 1h |", "| all | last | held |"} {
		if !strings.Contains(page, row) {
			t.Errorf("no row %q", row)
		}
	}
}
