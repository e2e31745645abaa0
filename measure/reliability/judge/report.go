package judge

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"tidegate/measure/reliability/record"
)

// Fault is a kind of thing that must not be.
type Fault int

// The kinds.
const (
	Lost Fault = iota
	Repeated
	Disordered
	OtherIDs
	SharedIDs
	Foreign
	ResetsSeen
	NeverInPlace
	Incomplete
	EndMarkers
	DisconnectsMissing
	DisconnectsDoubled
	DisconnectsEarly
	kinds
)

var names = [kinds]string{
	Lost:               "events lost",
	Repeated:           "events repeated",
	Disordered:         "topics disordered",
	OtherIDs:           "ids that differ from the answer",
	SharedIDs:          "ids answered for two events",
	Foreign:            "events from elsewhere",
	ResetsSeen:         "resets",
	NeverInPlace:       "clients never in place",
	Incomplete:         "clients not at the end",
	EndMarkers:         "end markers not answered",
	DisconnectsMissing: "disconnects missing",
	DisconnectsDoubled: "disconnects doubled",
	DisconnectsEarly:   "disconnects before their connect",
}

func (f Fault) String() string { return names[f] }

// maxExamples bounds what is told of each kind of fault.
const maxExamples = 5

// Report is what came out.
type Report struct {
	Run record.Run

	Answered        int // events
	Unanswered      int
	Shown           int // events, over all clients
	ShownUnanswered int // of these, ones whose publisher was never answered
	Required        int // of all that had to be shown
	Opened          int // streams
	Resets          int
	Accepted        int // connect callbacks
	Disconnected    int // streams that a disconnect was told of
	Redelivered     int // disconnects that repeat one and say so
	Retold          int // disconnects that a gateway told again, while the network was being cut
	NeverAccepted   int // streams with a disconnect whose connect was not accepted, which may be

	Faults   [kinds]int
	Examples [kinds][]string
}

func (r *Report) fault(f Fault, format string, args ...any) {
	r.Faults[f]++
	if len(r.Examples[f]) < maxExamples {
		r.Examples[f] = append(r.Examples[f], fmt.Sprintf(format, args...))
	}
}

// closeCounts turns counts into faults once everything is read.
func (r *Report) closeCounts(allowResets bool) {
	if r.Resets > 0 && !allowResets {
		r.fault(ResetsSeen, "clients were told %d times that history was lost", r.Resets)
		r.Faults[ResetsSeen] = r.Resets
	}
	if r.Required == 0 {
		r.fault(Incomplete, "no client had to be shown anything: the run proves nothing")
	}
}

// OK reports whether everything held.
func (r *Report) OK() bool { return r.Faults == [kinds]int{} }

// Print writes the report as a table, and examples of what does not hold.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\t\n", name, value) }
	row("events answered", r.Answered)
	row("requests for that", r.Run.Attempts)
	row("events never answered", fmt.Sprintf("%d (%d shown)", r.Unanswered, r.ShownUnanswered))
	row("longest pause between answers", r.Run.LongestPause.Round(time.Millisecond))
	row("pauses of a second or more", fmt.Sprintf("%d (median %v)", r.Run.LongPauses, r.Run.MedianPause.Round(time.Millisecond)))
	row("published for", r.Run.Took.Round(time.Millisecond))
	row("clients", r.Run.Clients)
	row("streams opened", r.Opened)
	row("events shown", r.Shown)
	row("events that had to be", r.Required)
	row("resets", r.Resets)
	if r.Run.Callbacks {
		row("connects accepted", r.Accepted)
		row("disconnects told", fmt.Sprintf("%d (%d of connects not accepted)", r.Disconnected, r.NeverAccepted))
		row("disconnects redelivered", r.Redelivered)
		row("disconnects told again after cuts", r.Retold)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for f := range kinds {
		fmt.Fprintf(t, "%s\t%d\t\n", f, r.Faults[f])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for f := range kinds {
		for _, example := range r.Examples[f] {
			fmt.Fprintf(w, "FAULT %s: %s\n", f, example)
		}
	}
	verdict := "PASS: everything held"
	if !r.OK() {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}
