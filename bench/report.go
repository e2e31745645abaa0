package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is all that was measured.
type report struct {
	Machine  machine   `json:"machine"`
	Settings settings  `json:"settings"`
	Figures  []*figure `json:"figures"`
	// Faults tells what was not delivered as it should. If there are any, the
	// figures do not count.
	Faults []string `json:"faults"`
}

// machine is what the figures were measured on.
type machine struct {
	Go        string `json:"go"` // that bench was built with
	Kernel    string `json:"kernel"`
	Cores     int    `json:"cores"`
	OpenFiles int    `json:"open_files"` // that a process may have
}

// settings are the options that a figure depends on.
type settings struct {
	Gateway string `json:"gateway"`
	Runs    int    `json:"runs"`
	Streams int    `json:"streams"`
	Size    int    `json:"size_bytes"`
	Events  int    `json:"events"`
	Burst   int    `json:"burst"`
	Senders int    `json:"senders"`
	Leaves  int    `json:"leaves"`
}

// figure is one measured quantity: the median of its runs.
type figure struct {
	Mode   string    `json:"mode"`
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
}

func newReport(o *options) *report {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // "" elsewhere
	files, _ := fileLimit()
	gateway := "built from this module"
	switch {
	case o.external():
		gateway = o.public
	case o.binary != "":
		gateway = o.binary
	}
	return &report{
		Machine: machine{Go: runtime.Version(), Kernel: strings.TrimSpace(string(kernel)), Cores: runtime.NumCPU(), OpenFiles: files},
		Settings: settings{Gateway: strings.TrimSpace(gateway + " " + o.gatewayArgs), Runs: o.runs, Streams: o.streams, Size: o.size,
			Events: o.events, Burst: o.burst, Senders: o.senders, Leaves: o.leaves},
		Faults: []string{},
	}
}

// add notes the value of one run.
func (r *report) add(mode, name, unit string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.Mode == mode && f.Name == name })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &figure{Mode: mode, Name: name, Unit: unit})
	}
	f := r.Figures[i]
	f.Runs = append(f.Runs, value)
	f.Median, f.Min, f.Max = median(f.Runs), slices.Min(f.Runs), slices.Max(f.Runs)
}

// writeJSON prints the report as one JSON object.
func (r *report) writeJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// writeTable prints the report for people.
func (r *report) writeTable(w io.Writer) error {
	m, s := r.Machine, r.Settings
	fmt.Fprintf(w, "%s, Linux %s, %d cores, %d open files a process\n", m.Go, m.Kernel, m.Cores, m.OpenFiles)
	fmt.Fprintf(w, "gateway: %s\n%d streams, events of %d bytes, %d senders; runs: %d\n", s.Gateway, s.Streams, s.Size, s.Senders, s.Runs)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	last := ""
	for _, f := range r.Figures {
		if f.Mode != last {
			fmt.Fprintf(table, "\n%s\tmedian\tmin – max\t\n", f.Mode)
			last = f.Mode
		}
		fmt.Fprintf(table, "  %s\t%s %s\t%s – %s\t\n", f.Name, number(f.Median), f.Unit, number(f.Min), number(f.Max))
	}
	return table.Flush()
}

// number prints three significant digits at least, and no more decimals than
// that takes.
func number(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	decimals := 2
	for limit := v; limit >= 10 && decimals > 0; limit /= 10 {
		decimals--
	}
	return fmt.Sprintf("%.*f", decimals, v)
}
