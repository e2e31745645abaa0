package bench

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReportShowsMedianAndRange(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, "--limit", "/x/limit")
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	r := newReport(&o)
	for _, v := range []float64{14.25, 13.5, 100} {
		r.add(false, "fanout", "CPU per delivery", "µs", v)
	}
	r.add(false, "churn", "CPU per delivery", "µs", 1)
	for _, v := range []float64{7, 10, 50} {
		r.add(true, "fanout", "CPU per delivery", "µs", v)
	}
	var table strings.Builder
	if err := r.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fanout ", "14.2 µs", "13.5 – 100", "7 – 50", "  2.00", "churn ", "10000 streams"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("table does not have %q:\n%s", want, table.String())
		}
	}
	var text strings.Builder
	if err := r.writeJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil {
		t.Fatal(err)
	}
	f := got.Figures[0]
	if len(got.Figures) != 2 || f.Median != 14.25 || f.Min != 13.5 || f.Max != 100 || len(f.Runs) != 3 || f.Beside.Median != 10 || f.Ratio.Median != 2 {
		t.Errorf("figures %+v", f)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.256: "0.26", 0.01234: "0.0123", -3.5: "-3.50", 3.14159: "3.14", 14.25: "14.2", 352.4: "352", 237234.1: "237234", 8: "8"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	const text = "# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines 1.2e+01\ngo_threads x\n"
	if n, ok := metric(text, "go_goroutines"); !ok || n != 12 {
		t.Errorf("go_goroutines = %v, %v, want 12", n, ok)
	}
	for _, name := range []string{"go_threads", "absent", "go_goroutine"} {
		if n, ok := metric(text, name); ok {
			t.Errorf("%s = %v, want none", name, n)
		}
	}
}
