package main

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// bench runs the program in this process; its clients and gateways are others.
func bench(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// small are the options for runs that take no time.
var small = []string{
	"--runs", "1", "--streams", "50", "--settle", "10ms", "--events", "5", "--gap", "1ms", "--burst", "20",
	"--duration", "100ms", "--senders", "8", "--messages", "20", "--pace", "1ms", "--leaves", "100", "--json",
}

func TestMeasuresTheRealGateway(t *testing.T) {
	t.Parallel()
	// Built like this test, so that what the others compiled serves again.
	flags := []string{}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		flags = append(flags, "-race")
	}
	binary, err := buildGateway(t.Context(), t.TempDir(), flags)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := bench(t, append([]string{"all", "--binary", binary}, small...)...)
	if code != exitOK {
		t.Fatalf("exit code %d, want 0; standard error:\n%s", code, stderr)
	}
	var got report
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("read the report: %v\n%s", err, stdout)
	}
	for _, want := range []struct{ mode, figure string }{
		{"idle", "memory of the process"},
		{"idle", "goroutines"},
		{"idle", "connects"},
		{"fanout", "last stream has it, worst"},
		{"fanout", "burst: deliveries"},
		{"unicast", "sends"},
		{"unicast", "delivery p99"},
		{"latency", "POST begun to event read, p50"},
		{"churn", "clients come and gone"},
	} {
		i := slices.IndexFunc(got.Figures, func(f *figure) bool { return f.Mode == want.mode && f.Name == want.figure })
		if i < 0 {
			t.Errorf("%s: no figure %q", want.mode, want.figure)
		} else if f := got.Figures[i]; f.Median <= 0 || len(f.Runs) != 1 {
			t.Errorf("%s: %s = %+v, want one run above 0", want.mode, want.figure, *f)
		}
	}
	for _, m := range modes() {
		if !slices.ContainsFunc(got.Figures, func(f *figure) bool { return f.Mode == m.name && f.Name == "CPU used by others" }) {
			t.Errorf("%s does not say what others used", m.name)
		}
	}
}

// The lies of a gateway are seen, and end the program with an error. The
// honest one shows that it is the lie that is seen.
func TestLiesOfAGatewayAreSeen(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lie, mode string
		code      int
		want      string // on standard error
	}{
		{"none", "fanout", exitOK, ""},
		{"none", "idle", exitOK, ""},
		{"lose", "fanout", exitError, "4 lost, 0 repeated, 0 out of order, 0 for another stream, 0 not sent by bench, 0 streams cut"},
		{"lose", "unicast", exitError, " lost, 0 repeated"},
		{"lose", "latency", exitError, " lost, 0 repeated"},
		{"repeat", "fanout", exitError, "0 lost, 4 repeated, 0 out of order"},
		{"swap", "fanout", exitError, "0 lost, 0 repeated, 4 out of order"},
		{"reset", "fanout", exitError, "0 out of order, 0 for another stream, 4 not sent by bench"},
		{"cut", "fanout", exitError, " 4 streams cut"},
		{"disconnect_twice", "churn", exitError, "a disconnect came twice"},
	} {
		t.Run(tt.lie+" "+tt.mode, func(t *testing.T) {
			t.Parallel()
			args := append([]string{tt.mode, "--binary", self, "--gateway-args", "--lie=" + tt.lie, "--tokens-only"}, small...)
			args = append(args, "--streams", "4", "--messages", "60")
			if tt.lie == "lose" || tt.lie == "cut" {
				args = append(args, "--patience", "1s") // it will run out
			}
			code, _, stderr := bench(t, args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want %d and %q on standard error, which is:\n%s", code, tt.code, tt.want, stderr)
			}
		})
	}
}

func TestAGatewayThatDoesNotStartIsAnError(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := bench(t, append([]string{"idle", "--binary", self, "--gateway-args", "--no-such-flag"}, small...)...)
	if code != exitError || !strings.Contains(stderr, "did not start") || !strings.Contains(stderr, "no-such-flag") {
		t.Errorf("exit code %d, want 1 and the gateway's complaint; standard error:\n%s", code, stderr)
	}
}

func TestTimeoutEndsARun(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"idle", "--binary", self, "--tokens-only"}, small...)
	code, _, stderr := bench(t, append(args, "--settle", "1h", "--timeout", "1s")...)
	if code != exitError || !strings.Contains(stderr, "--timeout") {
		t.Errorf("exit code %d, want 1 and a word about --timeout; standard error:\n%s", code, stderr)
	}
}
