package judge

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"tidegate/measure/reliability/record"
)

// Fault is a kind of broken promise.
type Fault int

// The kinds of faults.
const (
	Lost Fault = iota
	Repeated
	Disordered
	WrongIDs
	SharedIDs
	Foreign
	ResetsSeen
	WithoutPosition
	WithoutEnd
	EndMarkers
	DisconnectsMissing
	DisconnectsDuplicated
	DisconnectsEarly
	kinds
)

var names = [kinds]string{
	Lost:                  "events lost",
	Repeated:              "events repeated",
	Disordered:            "topics disordered",
	WrongIDs:              "ids that differ from the answer",
	SharedIDs:             "ids answered for two events",
	Foreign:               "foreign events",
	ResetsSeen:            "resets",
	WithoutPosition:       "clients without a position",
	WithoutEnd:            "clients without all end markers",
	EndMarkers:            "end markers not answered",
	DisconnectsMissing:    "disconnects missing",
	DisconnectsDuplicated: "disconnects duplicated",
	DisconnectsEarly:      "disconnects before their connect",
}

func (f Fault) String() string { return names[f] }

// maxExamples bounds the examples of each kind of fault.
const maxExamples = 5

// Report is the result of judging a run.
type Report struct {
	Run record.Run

	Answered           int // events
	Unanswered         int
	Received           int // events, over all clients
	ReceivedUnanswered int // of these, events without an answer
	Required           int // events that clients had to receive, over all clients
	Opened             int // streams
	Resets             int
	Accepted           int // connect callbacks
	Disconnected       int // streams with a disconnect
	Redelivered        int // repeated disconnects that are marked as redelivered
	Repeats            int // disconnects that a gateway repeated while the network was being cut
	NeverAccepted      int // streams with a disconnect but no accepted connect, which is allowed

	Faults   [kinds]int
	Examples [kinds][]string
}

func (r *Report) fault(f Fault, format string, args ...any) {
	r.Faults[f]++
	if len(r.Examples[f]) < maxExamples {
		r.Examples[f] = append(r.Examples[f], fmt.Sprintf(format, args...))
	}
}

// closeCounts turns counts into faults once all records are read.
func (r *Report) closeCounts(allowResets bool) {
	if r.Resets > 0 && !allowResets {
		r.fault(ResetsSeen, "clients received %d resets", r.Resets)
		r.Faults[ResetsSeen] = r.Resets
	}
	if r.Required == 0 {
		r.fault(WithoutEnd, "no client had to receive anything: the run proves nothing")
	}
}

// OK reports whether the run has no faults.
func (r *Report) OK() bool { return r.Faults == [kinds]int{} }

// Print writes the report as a table, with examples of each kind of fault.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\t\n", name, value) }
	row("events answered", r.Answered)
	row("requests", r.Run.Attempts)
	row("events never answered", fmt.Sprintf("%d (%d received)", r.Unanswered, r.ReceivedUnanswered))
	row("longest pause between answers", r.Run.LongestPause.Round(time.Millisecond))
	row("pauses of a second or more", fmt.Sprintf("%d (median %v)", r.Run.LongPauses, r.Run.MedianPause.Round(time.Millisecond)))
	row("published for", r.Run.Took.Round(time.Millisecond))
	row("clients", r.Run.Clients)
	row("streams opened", r.Opened)
	row("events received", r.Received)
	row("events required", r.Required)
	row("resets", r.Resets)
	if r.Run.Callbacks {
		row("connects accepted", r.Accepted)
		row("disconnects delivered", fmt.Sprintf("%d (%d without an accepted connect)", r.Disconnected, r.NeverAccepted))
		row("disconnects redelivered", r.Redelivered)
		row("disconnects repeated after cuts", r.Repeats)
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
	verdict := "PASS: all promises held"
	if !r.OK() {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}
