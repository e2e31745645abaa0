package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"tidegate/internal/config"
)

// clientSet is a set of flags such as a client command has.
type clientSet struct {
	fs      *pflag.FlagSet
	json    bool
	limit   int
	timeout time.Duration
	header  []string
	size    int64
	secret  string
	url     string
}

func newClientSet() *clientSet {
	c := &clientSet{fs: pflag.NewFlagSet("listen", pflag.ContinueOnError), size: 1 << 10}
	c.fs.BoolVarP(&c.json, "json", "j", false, "print one JSON object a `line`")
	c.fs.IntVarP(&c.limit, "limit", "n", 10, "end after `N` events")
	c.fs.DurationVar(&c.timeout, "timeout", time.Minute, "give up after this time")
	c.fs.StringArrayVar(&c.header, "header", nil, "send this header")
	c.fs.Var((*config.ByteSize)(&c.size), "message-size", "size of a message")
	c.fs.StringVar(&c.secret, "internal-secret", "", "bearer token")
	c.fs.StringVar(&c.url, "gateway-url", "http://127.0.0.1:8081", "base of the internal API")
	return c
}

func TestParse(t *testing.T) {
	t.Parallel()
	c := newClientSet()
	args := []string{"http://h/s", "-jn5", "--header", "A: 1", "rest", "--header=B: 2", "--", "--json"}
	env := []string{"TIDEGATE_LIMIT=7", "TIDEGATE_TIMEOUT=5s", "TIDEGATE_HEADER=X: 1;Y: 2", "TIDEGATE_MESSAGE_SIZE=2KiB", "TIDEGATE_LISTEN=:80", "TIDEGATE_WATCH=1"}
	words, err := config.Parse(c.fs, "listen", args, env)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"http://h/s", "rest", "--json"}, words); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
	if !c.json || c.limit != 5 || c.timeout != 5*time.Second || c.size != 2<<10 || !slices.Equal(c.header, []string{"A: 1", "B: 2"}) {
		t.Errorf("got %+v", c)
	}
	if !c.fs.Changed("timeout") || c.fs.Changed("gateway-url") {
		t.Error("Changed does not tell what was given")
	}
}

func TestParseTakesListsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	c := newClientSet()
	if _, err := config.Parse(c.fs, "listen", nil, []string{"TIDEGATE_HEADER=X: 1;Y: 2"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"X: 1", "Y: 2"}, c.header); diff != "" || !c.fs.Changed("header") {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestParseReportsAllErrors(t *testing.T) {
	t.Parallel()
	args := []string{"--jsn", "--limit", "many", "--timeout=5", "--json=maybe", "-x", "--message-size=1X", "--limit=99999999999999999999", "--internal-secret=hunter2\n", "--gateway-url=http://u:hunter2@\x01", "--header"}
	_, err := config.Parse(newClientSet().fs, "listen", args, []string{"TIDEGATE_LIMIT=few", "TIDEGATE_TIMEOT=1s", "TIDEGATE_LISTNE=:1"})
	want := []string{
		"environment TIDEGATE_LISTNE: unknown variable; did you mean TIDEGATE_LISTEN?",
		"environment TIDEGATE_TIMEOT: unknown variable; did you mean TIDEGATE_TIMEOUT?",
		"flag --jsn: unknown flag; did you mean --json?",
		"flag -x: unknown flag",
		"flag --header: has no value",
		`environment TIDEGATE_LIMIT: "few": give a number`,
		`flag --limit: "many": give a number`,
		`flag --timeout: "5": give a duration such as 1m30s`,
		`flag --json: "maybe": give true or false`,
		`flag --message-size: "1X": give a size such as 1048576, 512KiB or 1MB`,
		`flag --limit: "99999999999999999999": give a number`,
		"flag --internal-secret: holds the unprintable character U+000A",
		`flag --gateway-url: "http://<set>@\x01": holds the unprintable character U+0001`,
	}
	if diff := cmp.Diff(want, problems(t, err)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestParseHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"-jh"}, {"--limit", "many", "-h"}} {
		if _, err := config.Parse(newClientSet().fs, "listen", args, nil); !errors.Is(err, config.ErrHelp) {
			t.Errorf("Parse(%q) = %v, want ErrHelp", args, err)
		}
	}
	var out strings.Builder
	if err := config.FlagUsage(newClientSet().fs, &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"  -j, --json line\n      Print one JSON object a line. [TIDEGATE_JSON]\n",
		"  -n, --limit N\n      End after N events. [default 10, TIDEGATE_LIMIT]\n",
		"  --message-size SIZE\n      Size of a message. [default 1KiB, TIDEGATE_MESSAGE_SIZE]\n",
		"  --timeout DURATION\n      Give up after this time. [default 1m0s, TIDEGATE_TIMEOUT]\n",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
}

func TestClientFlagsAreNoSettings(t *testing.T) {
	t.Parallel()
	flags := config.ClientFlags()
	if !slices.IsSorted(flags) || len(slices.Compact(slices.Clone(flags))) != len(flags) {
		t.Errorf("the names are not sorted or not unique: %q", flags)
	}
	for _, name := range flags {
		if _, ok := samples[name]; ok {
			t.Errorf("%s is a setting", name)
		}
	}
}
