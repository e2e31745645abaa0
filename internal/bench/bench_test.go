package bench

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tidegate/internal/checkout"
)

// optionsOf parses a command line. Modes may stand anywhere in it.
func optionsOf(t *testing.T, args ...string) Options {
	t.Helper()
	var o Options
	fs := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	o.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	o.Modes = fs.Args()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Self = self
	return o
}

// bench runs everything in this process but clients and gateways.
func bench(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	o := optionsOf(t, args...)
	o.coldEvents = 2000
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	err = Run(t.Context(), o, &out, &errs)
	return out.String(), errs.String(), err
}

// small are the options for runs that take no time.
var small = []string{
	"--runs", "1", "--streams", "50", "--settle", "10ms", "--events", "5", "--gap", "1ms", "--burst", "20",
	"--duration", "300ms", "--senders", "8", "--batch", "10", "--messages", "20", "--pace", "1ms", "--leaves", "100",
	"--pressure", "1024", "--topics", "20", "--behind", "10", "--held", "100", "--patience", "1m", "--json",
}

// figuresOf reads a report.
func figuresOf(t *testing.T, stdout string) *report {
	t.Helper()
	var got report
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("read the report: %v\n%s", err, stdout)
	}
	return &got
}

// wanted are figures that must be above 0.
var wanted = []struct{ mode, figure string }{
	{"idle", "memory of the process"},
	{"idle", "goroutines"},
	{"idle", "connects"},
	{"heartbeat", "heartbeats"},
	{"fanout", "last stream has it, worst"},
	{"fanout", "burst: deliveries"},
	{"fanout", "burst: times the spaced deliveries"},
	{"unicast", "sends"},
	{"unicast", "delivery p99"},
	{"unicast", "batches: times the single sends"},
	{"topics", "sends by topic"},
	{"topics", "sends by token"},
	{"latency", "POST begun to event read, p50"},
	{"churn", "clients come and gone"},
	{"churn", "memory after"},
	{"slow", "p50, times that when all read"},
	{"slow", "memory, peak"},
	{"publish", "1 sender: events"},
	{"publish", "8 senders: answered p99"},
	{"publish", "batches, 8 senders: events"},
	{"history", "events"},
	{"history", "memory of the process, settled"},
	{"resume", "resumes"},
	{"resume", "live delivery during, p99"},
	{"resume", "live delivery at another gateway, p99"},
}

func checkWanted(t *testing.T, got *report) {
	t.Helper()
	for _, want := range wanted {
		if f := got.find(want.mode, want.figure); f == nil {
			t.Errorf("%s: no figure %q", want.mode, want.figure)
		} else if f.Median <= 0 || len(f.Runs) != 1 {
			t.Errorf("%s: %s = %+v, want one run above 0", want.mode, want.figure, *f)
		}
	}
	for _, m := range allModes() {
		if m.needs == needsNothing && got.find(m.name, othersFigure) == nil {
			t.Errorf("%s does not say what others used", m.name)
		}
	}
}

func TestMeasuresTheRealGateway(t *testing.T) {
	t.Parallel()
	binary, err := checkout.TestBinary(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := bench(t, append([]string{"--binary", binary, "--gateway-args", "--heartbeat 200ms --max-pending 64KiB --write-timeout 1s"},
		append(small, "--duration", "500ms", "--timeout", "5m")...)...)
	if err != nil {
		t.Fatalf("%v; standard error:\n%s", err, stderr)
	}
	got := figuresOf(t, stdout)
	checkWanted(t, got)
	if slow := got.find("slow", "ended as slow consumers"); slow.Median != 5 {
		t.Errorf("%v of 5 streams that did not read were ended", slow.Median)
	}
	measuresStorage(t, binary)
}

// measuresStorage needs a gateway that keeps what it was sent.
func measuresStorage(t *testing.T, binary string) {
	dir := t.TempDir()
	stdout, stderr, err := bench(t, append([]string{"publish", "history", "restart", "resume", "--binary", binary, "--cold",
		"--storage", storageProcess, "--compare-storage", storagePower, "--storage-dir", dir, "--timeout", "5m"}, small...)...)
	if err != nil {
		t.Fatalf("%v; standard error:\n%s", err, stderr)
	}
	got := figuresOf(t, stdout)
	for _, want := range []struct{ mode, figure string }{
		{"publish", "1 sender: events"},
		{"history", "on disk per event"},
		{"restart", "killed: ready after"},
		{"restart", "stopped: memory of the process"},
		{"restart", "on disk per event"},
		{"resume", "events replayed"},
	} {
		if f := got.find(want.mode, want.figure); f == nil || f.Median <= 0 || f.Ratio == nil {
			t.Errorf("%s: %s = %+v, want one above 0, and a ratio", want.mode, want.figure, f)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v stayed in the folder of storage, error %v", left, err)
	}
}

func TestMeasuresAGatewayBesideTheLimit(t *testing.T) {
	t.Parallel()
	o := optionsOf(t)
	chart := filepath.Join(t.TempDir(), "chart.svg")
	stdout, stderr, err := bench(t, append([]string{"--limit", o.Self, "--threads", "1", "--svg", chart, "--gateway-args", "--heartbeat 10ms"}, small...)...)
	if err != nil {
		t.Fatalf("%v; standard error:\n%s", err, stderr)
	}
	got := figuresOf(t, stdout)
	checkWanted(t, got)
	for _, want := range []struct {
		mode, figure string
		ratio        bool
	}{
		{"fanout", "burst: deliveries", true},
		{"unicast", "sends", true},
		{"unicast", loadFigure, false},
		{"topics", "sends by topic", false},
		{"publish", "8 senders: events", true},
		{"history", "events", false},
	} {
		if f := got.find(want.mode, want.figure); f == nil || (f.Ratio != nil) != want.ratio || want.ratio && len(f.Beside.Runs) != 1 {
			t.Errorf("%s: %s = %+v, want a ratio: %v", want.mode, want.figure, f, want.ratio)
		}
	}
	if slow := got.find("slow", "ended as slow consumers"); slow.Median != 5 {
		t.Errorf("%v of 5 streams that did not read were ended", slow.Median)
	}
	if text, err := os.ReadFile(chart); err != nil || !strings.Contains(string(text), "</svg>") {
		t.Errorf("chart %.100q, error %v", text, err)
	}
}

func TestMeasuresOtherProtocols(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--protocol", "tls"},
		{"--protocol", "h2"},
		{"--protocol", "h2c"},
		{"--protocol", "h2", "--streams-per-connection", "20"},
		{"--protocol", "h2c", "--streams-per-connection", "20", "--subscribe=false"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := bench(t, append(small, args...)...)
			if err != nil {
				t.Fatalf("%v; standard error:\n%s", err, stderr)
			}
			got := figuresOf(t, stdout)
			for _, want := range []struct{ mode, figure string }{
				{"idle", "connects"}, {"fanout", "burst: deliveries"}, {"latency", "POST begun to event read, p50"},
			} {
				if f := got.find(want.mode, want.figure); f == nil || f.Median <= 0 {
					t.Errorf("%s: %s = %+v", want.mode, want.figure, f)
				}
			}
		})
	}
}

// The lies of a gateway are seen, and are an error. The honest one shows that it
// is the lie that is seen.
func TestLiesOfAGatewayAreSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lie, args string
		want      string // on standard error; "" for no fault
	}{
		{"none", "fanout --tokens-only", ""},
		{"none", "idle --subscribe=false", ""},
		{"lose", "fanout --tokens-only", "4 lost, 0 repeated, 0 out of order, 0 for another stream, 0 not sent by bench, 0 streams cut"},
		{"lose", "fanout", "4 lost"},
		{"lose", "fanout --protocol h2c", "4 lost"},
		{"lose", "unicast", " lost, 0 repeated"},
		{"lose", "topics", " lost, 0 repeated"},
		{"lose", "latency", " lost, 0 repeated"},
		{"lose", "slow --streams 20", " lost, 0 repeated"},
		{"lose", "publish", " lost, 0 repeated"},
		{"lose", "resume", " lost, 0 repeated"},
		{"repeat", "resume", " repeated, 0 out of order"},
		{"repeat", "fanout", "0 lost, 4 repeated, 0 out of order"},
		{"swap", "fanout", "0 lost, 0 repeated, 4 out of order"},
		{"reset", "fanout", "0 out of order, 0 for another stream, 4 not sent by bench"},
		{"cut", "fanout", " 4 streams cut"},
		{"cut", "fanout --protocol h2", " 4 streams cut"},
		{"disconnect_twice", "churn", "a disconnect came twice"},
	} {
		t.Run(tt.lie+" "+tt.args, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat(small, []string{"--streams", "4", "--messages", "60", "--gateway-args", "--lie=" + tt.lie}, strings.Fields(tt.args))
			stderr, err := benchLie(t, args, tt.lie == "lose" || tt.lie == "cut")
			if wrong := tt.want != ""; errors.Is(err, ErrFaults) != wrong || !wrong && err != nil || !strings.Contains(stderr, tt.want) {
				t.Errorf("error %v, want faults: %v, and %q on standard error, which is:\n%s", err, wrong, tt.want, stderr)
			}
		})
	}
}

// benchLie runs bench. Where events will not come, its patience runs out: that is to be
// soon, but not while streams are opened. So it is longer in another try.
func benchLie(t *testing.T, args []string, runsOut bool) (stderr string, err error) {
	t.Helper()
	if !runsOut {
		_, stderr, err = bench(t, args...)
		return stderr, err
	}
	for patience := time.Second; ; patience *= 4 {
		_, stderr, err = bench(t, slices.Concat(args, []string{"--patience", patience.String()})...)
		if errors.Is(err, ErrFaults) || patience > time.Minute {
			return stderr, err
		}
	}
}

func TestAGatewayThatDoesNotStartIsAnError(t *testing.T) {
	t.Parallel()
	_, stderr, err := bench(t, append([]string{"idle", "--gateway-args", "--no-such-flag"}, small...)...)
	if err == nil || !strings.Contains(err.Error(), "did not start") || !strings.Contains(stderr, "no-such-flag") {
		t.Errorf("error %v, want the gateway's complaint; standard error:\n%s", err, stderr)
	}
}

// TestGatewaysThatShareNothingAreNoCluster: what one does not know, the other
// has to find, or it is an error.
func TestGatewaysThatShareNothingAreNoCluster(t *testing.T) {
	t.Parallel()
	o := optionsOf(t)
	_, _, err := bench(t, append([]string{"nodes", "--nats-server", o.Self, "--storage-dir", t.TempDir()}, small...)...)
	if err == nil || !strings.Contains(err.Error(), "stream at another node: answered 404") {
		t.Errorf("error %v, want one about the stream at another node", err)
	}
}

func TestAServerThatDoesNotStartIsAnError(t *testing.T) {
	t.Parallel()
	_, _, err := bench(t, append([]string{"nodes", "--nats-server", "/bin/false", "--storage-dir", t.TempDir()}, small...)...)
	if err == nil || !strings.Contains(err.Error(), "--nats-server") {
		t.Errorf("error %v, want one about --nats-server", err)
	}
}

func TestTimeoutEndsARun(t *testing.T) {
	t.Parallel()
	_, _, err := bench(t, slices.Concat([]string{"idle"}, small, []string{"--settle", "1h", "--timeout", "1s"})...)
	if err == nil || !strings.Contains(err.Error(), "--timeout") {
		t.Errorf("error %v, want a word about --timeout", err)
	}
}
