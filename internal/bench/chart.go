package bench

import (
	"fmt"
	"io"
	"strings"
)

// charted are the figures that a chart shows, by panels: of each quantity less
// is better, or more. A panel's bars have one scale.
var charted = []panel{
	{"Memory per stream", "bytes", false, []bar{
		{"idle", "memory per stream", "settled"},
		{"idle", "memory per stream, just connected", "just connected"},
	}},
	{"CPU time of the gateway for streams", "µs", false, []bar{
		{"idle", "CPU per connect", "connect"},
		{"churn", "CPU per client, both callbacks included", "client, come and gone"},
	}},
	{"CPU time of the gateway for events", "µs", false, []bar{
		{"fanout", "CPU per delivery", "delivery, spaced"},
		{"fanout", "CPU per delivery in a burst", "delivery in a burst"},
		{"unicast", "CPU per send", "send"},
		{"unicast", "CPU per send in a batch", "send in a batch"},
		{"topics", "CPU per send by topic", "send by topic"},
	}},
	{"Throughput", "/s", true, []bar{
		{"idle", "connects", "connects"},
		{"churn", "clients come and gone", "clients, come and gone"},
		{"unicast", "sends", "sends"},
		{"unicast", "batches: sends", "sends in batches"},
	}},
	{"Fan-out of a burst", "deliveries/s", true, []bar{
		{"fanout", "burst: deliveries", "deliveries"},
	}},
	{"Fan-out, until the last stream has an event", "ms", false, []bar{
		{"fanout", "last stream has it, median", "median"},
		{"fanout", "last stream has it, worst", "worst"},
	}},
	{"Latency, POST begun until event read", "ms", false, []bar{
		{"latency", "POST begun to event read, p50", "p50"},
		{"latency", "POST begun to event read, p99", "p99"},
	}},
	{"Delivery to readers while a tenth does not read", "ms", false, []bar{
		{"slow", "delivery p50, all read", "p50, all read"},
		{"slow", "delivery p50 to readers, a tenth does not read", "p50, a tenth does not"},
		{"slow", "delivery p99, all read", "p99, all read"},
		{"slow", "delivery p99 to readers, a tenth does not read", "p99, a tenth does not"},
	}},
	{"CPU of all streams idle", "% of a core", false, []bar{
		{"heartbeat", "CPU of the gateway", "heartbeats only"},
	}},
}

type panel struct {
	title, unit string
	more        bool // is better
	bars        []bar
}

type bar struct{ mode, figure, label string }

// Measures of a chart in pixels.
const (
	chartWidth  = 760
	barLeft     = 190 // where bars begin; labels are left of it
	barRight    = 560 // where the longest ends; its value is right of it
	ratioRight  = chartWidth - 24
	barHeight   = 14
	rowGap      = 12
	titleHeight = 40
	headHeight  = 78
)

// style is for light and dark pages, wherever the picture is put.
const style = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2933}
.page{fill:#fff}.head{font-size:19px;font-weight:600}.title{font-weight:600}
.note{font-size:12px;fill:#616e7c}.a{fill:#2563a8}.b{fill:#9fb3c8}
.whisker{stroke:#1f2933;stroke-opacity:.55}.rule{stroke:#e4e7eb}.end{text-anchor:end}
@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.page{fill:#14181d}.note{fill:#9aa5b1}
.a{fill:#5aa2e8}.b{fill:#52606d}.whisker{stroke:#e4e7eb}.rule{stroke:#2b323a}}
</style>
`

// draw writes the report as a chart in SVG: a bar for each figure, with a line
// from its lowest to its highest run, and below it that of what it is compared
// with. Figures that were not measured are left out.
func (r *report) draw(w io.Writer) {
	var body strings.Builder
	y := headHeight
	for _, p := range charted {
		y = r.drawPanel(&body, p, y)
	}
	height := y + 16
	s := r.Settings
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="Figures of a gateway">`+"\n%s",
		chartWidth, height, chartWidth, height, style)
	fmt.Fprintf(w, `<rect class="page" width="%d" height="%d" rx="8"/>`+"\n", chartWidth, height)
	text(w, 24, 36, "head", fmt.Sprintf("%s streams over %s", grouped(float64(s.Streams)), s.Protocol))
	text(w, 24, 58, "note", fmt.Sprintf("%s · events of %d bytes · %d cores, Linux %s",
		r.runsNote(), s.Size, r.Machine.Cores, r.Machine.Kernel))
	r.drawLegend(w)
	fmt.Fprintf(w, "%s</svg>\n", body.String())
}

func (r *report) runsNote() string {
	if r.Settings.Runs == 1 {
		return "one run"
	}
	return fmt.Sprintf("medians of %d runs, lines from lowest to highest", r.Settings.Runs)
}

func (r *report) drawLegend(w io.Writer) {
	if r.Settings.Beside == "" {
		return
	}
	// The names end at the right, each behind a bar of its colour.
	const perRune, behind, maxName = 7.5, 18, 24
	x := float64(ratioRight)
	for i, name := range []string{r.Settings.Beside, r.Settings.gatewayShort()} {
		if runes := []rune(name); len(runes) > maxName {
			name = "…" + string(runes[len(runes)-maxName:])
		}
		x -= perRune*float64(len([]rune(name))) + behind
		fmt.Fprintf(w, `<rect class="%s" x="%.0f" y="26" width="12" height="12" rx="2"/>`+"\n", barClass(1-i), x)
		text(w, int(x)+behind, 36, "", name)
		x -= behind
	}
}

func barClass(i int) string { return string(rune('a' + i)) }

// drawPanel draws the bars that there are, from y on, and returns where the next
// panel begins.
func (r *report) drawPanel(w io.Writer, p panel, y int) int {
	type row struct {
		label string
		*figure
	}
	var rows []row
	longest := 0.0
	for _, b := range p.bars {
		f := r.find(b.mode, b.figure)
		if f == nil || len(f.Runs) == 0 {
			continue
		}
		rows = append(rows, row{b.label, f})
		longest = max(longest, f.Max)
		if f.Beside != nil {
			longest = max(longest, f.Beside.Max)
		}
	}
	if len(rows) == 0 || longest <= 0 {
		return y
	}
	fmt.Fprintf(w, `<path class="rule" d="M24 %dH%d"/>`+"\n", y, ratioRight)
	y += titleHeight
	better := "less is better"
	if p.more {
		better = "more is better"
	}
	text(w, 24, y-14, "title", p.title+", "+p.unit)
	text(w, ratioRight, y-14, "note end", better)
	for _, f := range rows {
		y = drawFigure(w, f.label, f.figure, float64(barRight-barLeft)/longest, y)
	}
	return y + 8
}

// drawFigure draws one or two bars. A pixel is 1/scale of the unit.
func drawFigure(w io.Writer, label string, f *figure, scale float64, y int) int {
	top := y
	for i, s := range []*series{&f.series, f.Beside} {
		if s == nil {
			continue
		}
		length := max(1, s.Median*scale)
		fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n", barClass(i), barLeft, y, length, barHeight)
		if s.Max > s.Min {
			fmt.Fprintf(w, `<path class="whisker" d="M%.1f %dH%.1f"/>`+"\n", barLeft+s.Min*scale, y+barHeight/2, barLeft+s.Max*scale)
		}
		text(w, barLeft+int(max(length, s.Max*scale))+6, y+barHeight-3, "", grouped(s.Median))
		y += barHeight + 2
	}
	middle := (top+y)/2 + 4
	text(w, barLeft-10, middle, "end", label)
	if f.Ratio != nil {
		text(w, ratioRight, middle, "end", fmt.Sprintf("× %.2f", f.Ratio.Median))
	}
	return y + rowGap
}

// text writes a line of text at a place.
func text(w io.Writer, x, y int, class, s string) {
	fmt.Fprintf(w, `<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, escaper.Replace(s))
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// grouped is number with blanks between thousands.
func grouped(v float64) string {
	whole, fraction, is := strings.Cut(number(v), ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "\u202f" + whole[i:]
	}
	if is {
		whole += "." + fraction
	}
	return whole
}
