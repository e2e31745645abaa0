package app_test

import (
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tidegate/internal/logging"
	"tidegate/internal/metric"
	"tidegate/internal/selfsigned"
)

// TestScrapesHaveWhatTheReferenceSays: each command shows the metrics of its sections of the page,
// with the series that are known in advance, and no others. They pass promlint.
func TestScrapesHaveWhatTheReferenceSays(t *testing.T) {
	t.Parallel()
	storage := []string{"Storage", "Nodes and failover"}
	gateway := []string{"Streams", "Callbacks", "Events and topics", "Limits and refusals", "Process"}
	shared := []string{"--nats-listen", "127.0.0.1:0", "--nats-token", "long-enough-to-be-one"}
	for name, tt := range map[string]struct {
		args     []string
		sections []string
		more     []string
	}{
		"serve":                   {[]string{"serve"}, slices.Concat(gateway, storage, []string{"Backend", "The log of one process"}), nil},
		"gateway":                 {[]string{"gateway"}, gateway, nil},
		"gateway with shared log": {append([]string{"gateway", "--data", t.TempDir()}, shared...), slices.Concat(gateway, storage, []string{"The log on NATS"}), nil},
		"backend":                 {[]string{"backend", "--mode", "development"}, []string{"Backend", "Limits and refusals", "Process"}, []string{metric.StorageReady.Name}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := scrapeOf(t, tt.args...)
			lint(t, text)
			want := slices.Clone(tt.more)
			for _, s := range metric.Sections() {
				if slices.Contains(tt.sections, s.Title) {
					for _, d := range s.Metrics {
						want = append(want, seriesOf(d)...)
					}
				}
			}
			got := scraped(text)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("series of %s (-reference +scrape):\n%s", name, diff)
			}
		})
	}
}

// scrapeOf is what a command with a certificate and a log file answers at /metrics before
// anything has happened.
func scrapeOf(t *testing.T, args ...string) string {
	t.Helper()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	output, _, err := logging.Open(logging.Options{File: filepath.Join(t.TempDir(), "log"), Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = output.Close() })
	p, err := runWith(t, runOptions{output: output}, args[0],
		append([]string{"--listen", "127.0.0.1:0", "--tls-cert", files.Cert, "--tls-key", files.Key}, args[1:]...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.stop() })
	return do(t, "GET", p.Internal+"/metrics", "").body
}

func lint(t *testing.T, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tidegate_") {
			t.Errorf("promlint: %s: %s", p.Metric, p.Text)
		}
	}
}

// seriesOf are the series of a metric that exist from the start. Of one whose label values are
// not known it is the name alone.
func seriesOf(d *metric.Def) (all []string) {
	if len(d.Series()) == 0 {
		return []string{d.Name}
	}
	for _, values := range d.Series() {
		pairs := make([]string, len(values))
		for i, v := range values {
			pairs[i] = d.Labels[i].Name + "=" + strconv.Quote(v)
		}
		slices.Sort(pairs)
		all = append(all, d.Name+"{"+strings.Join(pairs, ",")+"}")
	}
	return all
}

var seriesLine = regexp.MustCompile(`(?m)^(tidegate_\w+)(\{[^}]*\})? `)

// scraped are the series of a scrape, as seriesOf writes them: those of a histogram once, and
// those of labels that have any value at all without their labels.
func scraped(text string) (all []string) {
	open := map[string]bool{}
	for _, s := range metric.Sections() {
		for _, d := range s.Metrics {
			open[d.Name] = len(d.Labels) > 0 && len(d.Series()) == 0
		}
	}
	for _, m := range seriesLine.FindAllStringSubmatch(text, -1) {
		name, labels := m[1], m[2]
		switch {
		case strings.HasSuffix(name, "_bucket"), strings.HasSuffix(name, "_sum"):
			continue
		case open[name]:
			labels = ""
		}
		all = append(all, strings.TrimSuffix(name, "_count")+labels)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
