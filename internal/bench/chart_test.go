package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// drawing is a chart taken apart.
type drawing struct {
	texts []string
	bars  map[string]int // by class
}

func readChart(t *testing.T, r *report) drawing {
	t.Helper()
	var chart strings.Builder
	r.draw(&chart)
	d := drawing{bars: make(map[string]int)}
	decoder := xml.NewDecoder(strings.NewReader(chart.String()))
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatalf("read the chart: %v\n%s", err, chart.String())
		}
		switch token := token.(type) {
		case xml.StartElement:
			inText = token.Name.Local == "text"
			for _, a := range token.Attr {
				if a.Name.Local == "class" && token.Name.Local == "rect" {
					d.bars[a.Value]++
				}
			}
		case xml.CharData:
			if inText {
				d.texts = append(d.texts, string(token))
			}
		}
	}
}

func TestChartShowsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	o := optionsOf(t, "--limit", "/x/<limit>&", "--runs", "2")
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	r := newReport(&o)
	for _, v := range []float64{31000, 33000} {
		r.add(false, "idle", "memory per stream", "bytes", v)
		r.add(true, "idle", "memory per stream", "bytes", v/10)
		r.add(false, "unicast", "sends", "/s", v)
	}
	got := readChart(t, r)
	all := strings.Join(got.texts, "\n")
	for _, want := range []string{"10\u202f000 streams over http1", "medians of 2 runs", "<limit>&", "Memory per stream, bytes", "32\u202f000", "3\u202f200", "× 10.00", "Throughput, /s"} {
		if !strings.Contains(all, want) {
			t.Errorf("chart does not say %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "Latency") {
		t.Error("there is a panel for what was not measured")
	}
	if got.bars["a"] != 3 || got.bars["b"] != 2 { // with those of the legend
		t.Errorf("bars %v, want 3 of the gateway and 2 of the other", got.bars)
	}
}

// Every bar names a figure that exists, or it would never be drawn.
func TestChartKnowsTheFigures(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := bench(t, append([]string{"--gateway-args", "--heartbeat 10ms"}, small...)...)
	if err != nil {
		t.Fatalf("%v; standard error:\n%s", err, stderr)
	}
	got := figuresOf(t, stdout)
	for _, p := range charted {
		for _, b := range p.bars {
			if f := got.find(b.mode, b.figure); f == nil {
				t.Errorf("no figure %q of mode %s is measured", b.figure, b.mode)
			} else if f.Unit != p.unit && p.unit != "deliveries/s" {
				t.Errorf("%s: %s is in %s, and its panel in %s", b.mode, b.figure, f.Unit, p.unit)
			}
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", 12.34: "12.3", -4500: "-4\u202f500"} {
		if got := grouped(v); got != want {
			t.Errorf("grouped(%v) = %q, want %q", v, got, want)
		}
	}
}
