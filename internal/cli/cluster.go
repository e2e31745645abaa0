package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/socket"
	"tidegate/internal/terminal"
	"tidegate/internal/version"
	"tidegate/internal/wire"
)

func clusterManual() manual {
	return manual{
		usage: []string{"tidegate cluster status [--flag value …]"},
		about: `Shows the storage of a running gateway as the gateway sees it: where it is, which
nodes are alive, what is stored, and what is wrong.
`,
		flags: new(clusterFlags).set(),
		examples: []string{
			"tidegate cluster status",
			"tidegate cluster status --server http://10.0.0.5:8081 --json",
		},
		exits: []entry{
			{"0", "storage works; there may be warnings"},
			{"1", "storage has a problem, or no gateway answers"},
			{"2", "the call has a mistake"},
		},
	}
}

type clusterFlags struct {
	server  string
	secret  string
	json    bool
	timeout time.Duration
	trust   trust
}

func (f *clusterFlags) set() *pflag.FlagSet {
	fs := pflag.NewFlagSet("cluster", pflag.ContinueOnError)
	fs.StringVar(&f.server, "server", "http://127.0.0.1:8081", "`URL` of the gateway's internal listener")
	fs.StringVar(&f.secret, "internal-secret", "", "bearer token of the internal API, or file:PATH of a file that has it")
	fs.BoolVar(&f.json, "json", false, "print the answer as JSON")
	fs.DurationVar(&f.timeout, "timeout", 30*time.Second, "time within which the gateway must answer")
	f.trust.set(fs)
	return fs
}

// errProblem makes the exit code 1 when the status has a problem.
var errProblem = errors.New("storage has a problem: see above")

func clusterCommand(ctx context.Context, sys System) error {
	var f clusterFlags
	fs := f.set()
	words, err := config.Parse(fs, "cluster", sys.Args, sys.Env)
	if errors.Is(err, config.ErrHelp) {
		return clusterManual().help(sys.Stdout)
	} else if err != nil {
		return err
	}
	if len(words) != 1 || words[0] != "status" {
		return usagef("cluster: give status, as in: tidegate cluster status")
	}
	server, ok := reach(f.server)
	if !ok {
		return usagef("cluster: --server is not an http or https URL, nor unix:SOCKET")
	}
	if f.secret, err = access.ClientSecret(f.secret); err != nil {
		return usagef("cluster: --internal-secret: %v", err)
	}
	status, err := f.ask(ctx, server)
	if err != nil {
		return err
	}
	if f.json {
		encoder := json.NewEncoder(sys.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(status)
	} else {
		err = printStatus(sys.Stdout, status)
	}
	if err == nil && len(status.Health) > 0 {
		return errProblem
	}
	return err
}

func (f *clusterFlags) ask(ctx context.Context, server socket.Target) (status wire.ClusterStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(server.URL, "/")+"/internal/cluster", nil)
	if err != nil {
		return status, f.trust.explain(err)
	}
	r.Header.Set("User-Agent", version.UserAgent())
	if f.secret != "" {
		r.Header.Set("Authorization", "Bearer "+f.secret)
	}
	client, err := f.trust.client(server)
	if err != nil {
		return status, err
	}
	response, err := client.Do(r)
	if err != nil {
		return status, fmt.Errorf("no gateway answers; check that --server is its internal listener: %w", f.trust.explain(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return status, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var answer struct {
			Error wire.Error `json:"error"`
		}
		if json.Unmarshal(body, &answer) == nil && answer.Error.Message != "" {
			return status, errors.New(terminal.Line(answer.Error.Message))
		}
		return status, noStatus(response.StatusCode, body)
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status, fmt.Errorf("read the status: %w; check that --server is the internal listener of a gateway", err)
	}
	return status, nil
}

// noStatus explains an answer that does not come from a gateway.
func noStatus(status int, body []byte) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		said, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), 200)])), "\n")
		if said = terminal.Line(said); said != "" && said[0] != '<' {
			said = " (" + said + ")"
		} else {
			said = ""
		}
		return fmt.Errorf("a proxy answered with status %d%s because it reaches no gateway that is ready; give --server the internal listener of a gateway itself", status, said)
	}
	return fmt.Errorf("the answer has status %d; check that --server is the internal listener of a gateway", status)
}

// printStatus prints the status for people.
func printStatus(out io.Writer, s wire.ClusterStatus) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	switch s.Mode {
	case "embedded":
		line("storage", "embedded, NATS %s, durability %s", s.Version, s.Durability)
	default:
		line("storage", "%s, NATS %s at %s", s.Mode, cmp.Or(s.Version, "?"), cmp.Or(s.URL, "no server: not connected"))
	}
	if s.Listen != "" {
		line("listens at", "%s", s.Listen)
	}
	if s.Disk != nil {
		line("disk", "%s free of %s", bytesText(s.Disk.Free), bytesText(s.Disk.Total))
	}
	line("generation", "%s", s.Generation)
	for _, st := range s.Streams {
		if st.Segments > 0 {
			line("log", "%d topics in %d segments, positions %d to %d, %d holes", st.Topics, st.Segments, st.First, st.Last, st.Holes)
		}
	}
	line("nodes", "%s (%s answered)", cmp.Or(strings.Join(s.Nodes, ", "), "unknown"), s.Node)
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tMESSAGES\tSIZE\tOF\tREPLICAS\tLEADER\tLAG\tOFFLINE")
	for _, st := range s.Streams {
		if st.Error != "" {
			fmt.Fprintf(w, "%s\t?\t?\t?\t?\t?\t?\t%s\n", st.Name, cmp.Or(strings.Join(st.Offline, ", "), "?"))
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%d\t%s\t%d\t%s\n", st.Name, st.Messages, bytesText(int64(st.Bytes)),
			bytesText(st.MaxBytes), st.Replicas, st.Leader, st.Lag, strings.Join(st.Offline, ", "))
	}
	_ = w.Flush() // b takes everything
	for _, reason := range s.Health {
		line("\nproblem", "%s", terminal.Line(reason))
	}
	for _, warning := range s.Warnings {
		line("\nwarning", "%s", terminal.Line(warning))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// bytesText is a size for people: three digits or so.
func bytesText(n int64) string {
	if n < 0 {
		return "unbounded"
	}
	size, unit := float64(n), 0
	for size >= 1000 && unit < len(byteUnits)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", size, byteUnits[unit])
}

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
