package bench

import (
	"fmt"
	"iter"
	"time"
)

// inbox is what has come for one stream.
type inbox struct {
	id      int
	stalled bool // not read: missing events are not lost
	scan    scanner
	check   checker
}

// tally is what has come for all streams of a process.
type tally struct {
	events  int64 // that have come
	last    int64 // when the newest was read
	latency histogram
}

// take reads the events in a piece of the stream's body. It returns buf, to be
// used again.
func (c *inbox) take(t *tally, buf []mark, body []byte) ([]mark, error) {
	marks, err := c.scan.scan(buf[:0], body)
	if len(marks) > 0 {
		t.last = now()
	}
	for _, m := range marks {
		if m.to != everyone && m.to != int64(c.id) {
			c.check.faults.Misled++
			continue
		}
		c.check.see(m.seq)
		t.events++
		t.latency.add(time.Duration(t.last - m.at))
	}
	return marks, err
}

func (t *tally) received() (events, last int64) { return t.events, t.last }

func (t *tally) resetLatencies() { t.latency = histogram{} }

// maxSamples is how many faulty streams a report shows.
const maxSamples = 5

// sum returns what arrived, after sent was sent to each stream, in the
// order of streams; one number is for all.
func (t *tally) sum(sent []int64, streams iter.Seq[*inbox]) reply {
	r := reply{Events: t.events, Latency: t.latency}
	i := -1
	for c := range streams {
		i++
		r.Beats += c.scan.beats
		if c.stalled {
			continue
		}
		want := int64(0)
		switch {
		case len(sent) == 1:
			want = sent[0]
		case i < len(sent):
			want = sent[i]
		}
		f := c.check.finish(want)
		f.Alien += c.scan.alien
		if f != (faults{}) && len(r.Samples) < maxSamples {
			r.Samples = append(r.Samples, fmt.Sprintf("stream %d, %d events sent: %v", c.id, want, f))
		}
		r.Faults.add(f)
	}
	return r
}
