package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOptionsInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args  []string
		modes string
	}{
		{nil, "idle fanout unicast latency churn"},
		{[]string{"all"}, "idle fanout unicast latency churn"},
		{[]string{"churn", "--runs", "5", "idle", "churn"}, "idle churn"},
		{[]string{"--runs=5", "latency", "--json"}, "latency"},
	} {
		o, err := parseOptions(tt.args, io.Discard)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		var names []string
		for _, m := range o.modes {
			names = append(names, m.name)
		}
		if got := strings.Join(names, " "); got != tt.modes {
			t.Errorf("%q: modes %q, want %q", tt.args, got, tt.modes)
		}
	}
}

func TestOptionsOfARunningGateway(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--public", "http://127.0.0.1:1/x", "--internal", "http://127.0.0.1:2", "--pid", "12,13", "--duration", "1s"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !o.external() || !cmp.Equal(o.pids, []int{12, 13}) || o.duration != time.Second {
		t.Errorf("external %v, pids %v, duration %v", o.external(), o.pids, o.duration)
	}
}

func TestMistakesInOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		want string
	}{
		{"speed", "speed"},
		{"--runs x", "runs"},
		{"--no-such", "no-such"},
		{"--runs 0", "--runs 0: must be from 1 to 100"},
		{"--streams 3", "--streams"},
		{"--streams 150000", "ulimit -n"},
		{"--size 10", "--size"},
		{"--gap -1s", "--gap"},
		{"--timeout 1ms", "--timeout"},
		{"--public http://127.0.0.1:1", "go together"},
		{"--public https://127.0.0.1:1 --internal http://127.0.0.1:2", "--public"},
		{"--public http://127.0.0.1 --internal http://127.0.0.1:2", "--public"},
		{"--public http://127.0.0.1:1 --internal http://127.0.0.1:2 --binary x", "--binary"},
		{"--pid 1", "--pid"},
		{"--pid 0", "process id"},
		{"--runs 0 --events 0", "--events"}, // both are told
	} {
		_, err := parseOptions(strings.Fields(tt.args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.args, err, tt.want)
		}
	}
}

func TestHelpNamesEverything(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	if _, err := parseOptions([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v, want flag.ErrHelp", err)
	}
	for _, m := range modes() {
		if !strings.Contains(help.String(), m.name+" ") {
			t.Errorf("help does not name mode %s", m.name)
		}
	}
	new(options).flags(io.Discard).VisitAll(func(f *flag.Flag) {
		if !strings.Contains(help.String(), "-"+f.Name) || f.Usage == "" {
			t.Errorf("help does not explain --%s", f.Name)
		}
	})
}

func TestUsageErrorsExitWith2(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"nonsense"}, &stdout, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "nonsense") {
		t.Errorf("exit code %d, standard error %q; want 2 and the mistake", code, stderr.String())
	}
	if code := run(t.Context(), []string{"--help"}, &stdout, &stderr); code != exitOK || stdout.String() == "" {
		t.Errorf("--help: exit code %d, %d bytes on standard output; want 0 and help", code, stdout.Len())
	}
}
