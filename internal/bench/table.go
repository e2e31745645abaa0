package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// writeTable prints the report for people.
func (r *report) writeTable(w io.Writer) error {
	m, s := r.Machine, r.Settings
	fmt.Fprintf(w, "%s, Linux %s, %d cores, %d open files a process\n", m.Go, m.Kernel, m.Cores, m.OpenFiles)
	fmt.Fprintf(w, "gateway: %s\n%d streams over %s, events of %d bytes, %d senders; runs: %d\n",
		s.Gateway, s.Streams, s.Protocol, s.Size, s.Senders, s.Runs)
	if s.Beside != "" {
		fmt.Fprintf(w, "beside it: %s\n", s.Beside)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	last := ""
	for _, f := range r.Figures {
		if f.Mode != last {
			fmt.Fprintf(table, "\n%s\t%s\n", f.Mode, r.heads())
			last = f.Mode
		}
		fmt.Fprintf(table, "  %s\t%s\n", f.Name, r.cells(f))
	}
	return table.Flush()
}

// heads are those of the columns behind the names.
func (r *report) heads() string {
	span := ""
	if r.Settings.Runs > 1 {
		span = "min – max\t"
	}
	if r.Settings.Beside == "" {
		return "median\t" + span
	}
	return r.Settings.gatewayShort() + "\t" + span + r.Settings.Beside + "\t" + span + "ratio\t"
}

func (r *report) cells(f *figure) string {
	columns := []*series{&f.series}
	if r.Settings.Beside != "" {
		columns = append(columns, f.Beside)
	}
	var b strings.Builder
	for _, s := range columns {
		b.WriteString(s.shown(f.Unit) + "\t")
		if r.Settings.Runs > 1 {
			b.WriteString(s.span() + "\t")
		}
	}
	if f.Ratio != nil {
		fmt.Fprintf(&b, "%.2f\t", f.Ratio.Median)
	}
	return b.String()
}

// shown is the median; "" if there is none, because only the other gateway has
// values.
func (s *series) shown(unit string) string {
	switch {
	case s == nil || len(s.Runs) == 0:
		return ""
	case unit == "":
		return number(s.Median)
	}
	return number(s.Median) + " " + unit
}

// span is the range from the lowest to the highest value.
func (s *series) span() string {
	if s == nil || len(s.Runs) == 0 {
		return ""
	}
	return number(s.Min) + " – " + number(s.Max)
}

// number prints three significant digits at least, and no more decimals than
// that takes.
func number(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	decimals := 2
	for limit := math.Abs(v); limit >= 10 && decimals > 0; limit /= 10 {
		decimals--
	}
	if decimals == 2 && math.Abs(v) < 0.1 {
		decimals = 4
	}
	return fmt.Sprintf("%.*f", decimals, v)
}
