package metric_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"tidegate/internal/markdown/pagetest"
	"tidegate/internal/metric"
)

func TestReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	pagetest.Check(t, "metrics.md", metric.Reference())
}

// TestEachMetricStandsAlone: a name and a help text that nobody else has, and a sentence.
func TestEachMetricStandsAlone(t *testing.T) {
	t.Parallel()
	sentence := regexp.MustCompile(`^[A-Z0-9].*\.$`)
	words := regexp.MustCompile(`\b(these|such|that of|who|whom)\b`)
	names, helps := map[string]bool{}, map[string]bool{}
	for _, s := range metric.Sections() {
		for _, d := range s.Metrics {
			if names[d.Name] || helps[d.Help] {
				t.Errorf("%s: its name or help text is there twice", d.Name)
			}
			names[d.Name], helps[d.Help] = true, true
			if !sentence.MatchString(d.Help) {
				t.Errorf("%s: %q is no sentence", d.Name, d.Help)
			}
			if n := len(strings.Fields(d.Help)); n > 25 {
				t.Errorf("%s: its help text has %d words", d.Name, n)
			}
			if word := words.FindString(strings.Replace(d.Help, "because of who sent them", "", 1)); word != "" {
				t.Errorf("%s: %q is not a word for a text that stands alone", d.Name, word)
			}
			if counts := d.Kind == metric.Counter; counts != strings.HasSuffix(d.Name, "_total") {
				t.Errorf("%s is a %s", d.Name, d.Kind)
			}
			for _, series := range d.Series() {
				if len(series) != len(d.Labels) {
					t.Errorf("%s: %q for %d labels", d.Name, series, len(d.Labels))
				}
			}
		}
	}
}

// TestCountersExistFromTheStart for all label values that are known.
func TestCountersExistFromTheStart(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	r.MustRegister(metric.DisconnectsDropped.NewCounterVec(), metric.CallbackDuration.NewHistogramVec(), metric.TasksFinished.NewCounterVec())
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	want := map[string]int{metric.DisconnectsDropped.Name: 5, metric.CallbackDuration.Name: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series at the start (-want +got):\n%s", diff)
	}
}

func TestPageHasEveryMetric(t *testing.T) {
	t.Parallel()
	page := string(metric.Reference())
	headings := regexp.MustCompile("(?m)^### `(\\w+)`$").FindAllStringSubmatch(page, -1)
	if len(headings) < 80 {
		t.Errorf("the page has %d metrics", len(headings))
	}
	for _, s := range metric.Sections() {
		for _, d := range s.Metrics {
			if !slices.ContainsFunc(headings, func(h []string) bool { return h[1] == d.Name }) {
				t.Errorf("the page lacks %s", d.Name)
			}
		}
	}
}

// TestPagesNameMetricsThatExist, except for the table of former names.
func TestPagesNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range metric.Sections() {
		for _, d := range s.Metrics {
			known[d.Name] = true
		}
	}
	named := regexp.MustCompile("`(tidegate_[a-z_]+[a-z])(?:\\{[^`]*)?`")
	pages, err := filepath.Glob("../../docs/*/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	count := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		current, _, _ := strings.Cut(string(text), "\n## Metrics renamed")
		for _, m := range named.FindAllStringSubmatch(current, -1) {
			count++
			if name := strings.TrimSuffix(strings.TrimSuffix(m[1], "_count"), "_bucket"); !known[name] && name != "tidegate_id_secret" { // in metadata of a stream
				t.Errorf("%s names %s, which is no metric", page, m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("the pages name %d metrics: this test looks for the wrong form", count)
	}
}
