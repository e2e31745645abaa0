package judge

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tidegate/measure/reliability/record"
)

// scenario is the records of a small run: two publishers, two topics, two clients.
type scenario struct {
	run       record.Run
	events    []record.Event
	clients   [][]record.Observation
	callbacks []record.Callback
}

// validRun is a run without faults. Events 1, 2 and 4 are in topic 0, event 3 in
// topic 1; 4 and 3 are the end markers. 5 was begun while 2 was and never answered.
func validRun() scenario {
	shown := func(global uint64, publisher, topic, number int) record.Observation {
		return record.Observation{Kind: record.Received, ID: fmt.Sprint("id-", global), Global: global, Publisher: publisher, Topic: topic, Number: number}
	}
	return scenario{
		run: record.Run{Publishers: 2, Topics: 2, Clients: 2, Callbacks: true},
		events: []record.Event{
			{Global: 1, Topic: 0, Number: 1, Begin: 10, Done: 13, ID: "id-1", Attempts: 1},
			{Global: 2, Publisher: 1, Topic: 0, Number: 1, Begin: 14, Done: 20, ID: "id-2", Attempts: 3},
			{Global: 3, Topic: 1, Number: 1, Begin: 31, Done: 32, ID: "id-3", Attempts: 1, End: true},
			{Global: 4, Publisher: 1, Topic: 0, Number: 2, Begin: 33, Done: 34, ID: "id-4", Attempts: 1, End: true},
			{Global: 5, Topic: 0, Number: 2, Begin: 15, Attempts: 9},
		},
		clients: [][]record.Observation{
			{
				{Kind: record.Topics, Topics: []int{0, 1}}, {Kind: record.Open}, {Kind: record.Position, At: 5},
				shown(1, 0, 0, 1), {Kind: record.Ended, Why: "left"}, {Kind: record.Open, ID: "id-1"},
				shown(2, 1, 0, 1), shown(5, 0, 0, 2), shown(3, 0, 1, 1), shown(4, 1, 0, 2), {Kind: record.Complete},
			},
			{
				{Kind: record.Topics, Topics: []int{0}}, {Kind: record.Open}, {Kind: record.Position, At: 12},
				shown(2, 1, 0, 1), shown(5, 0, 0, 2), shown(4, 1, 0, 2), {Kind: record.Complete},
			},
		},
		callbacks: []record.Callback{
			{Action: record.Connect, Stream: "a", Status: 200, Sent: true},
			{Action: record.Disconnect, Stream: "a", Status: 200, Sent: true},
			{Action: record.Connect, Stream: "b", Status: 503, Sent: true},
			{Action: record.Connect, Stream: "c", Status: 200, Sent: true},
			{Action: record.Disconnect, Stream: "c", Status: 503, Sent: true},
			{Action: record.Disconnect, Stream: "c", Status: 200, Sent: true},
			{Action: record.Disconnect, Stream: "c", Status: 200, Sent: true, Redelivered: true},
			{Action: record.Disconnect, Stream: "d", Status: 200, Sent: true},
		},
	}
}

// write writes the files of a scenario.
func (s scenario) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := func(path string, fill func(w *record.Writer)) {
		w, err := record.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		fill(w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for p := range s.run.Publishers {
		file(record.PublisherFile(dir, p), func(w *record.Writer) {
			for _, e := range s.events {
				if e.Publisher == p {
					w.Write(e)
				}
			}
		})
	}
	for n, seen := range s.clients {
		file(record.ClientFile(dir, n), func(w *record.Writer) {
			for _, line := range seen {
				w.Write(line)
			}
		})
	}
	file(record.CallbacksFile(dir), func(w *record.Writer) {
		for _, cb := range s.callbacks {
			w.Write(cb)
		}
	})
	if err := record.Finish(dir, s.run); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s scenario) judge(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Judge(s.write(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARunWithoutFaults(t *testing.T) {
	t.Parallel()
	r := validRun().judge(t, Options{})
	if !r.OK() {
		t.Errorf("faults %v: %v", r.Faults, r.Examples)
	}
	want := Report{Answered: 4, Unanswered: 1, Received: 8, ReceivedUnanswered: 2, Required: 6, Opened: 3, Accepted: 2, Disconnected: 3, Redelivered: 1, NeverAccepted: 1}
	want.Run = r.Run
	if got := *r; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("report\n%+v, want\n%+v", got, want)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "PASS") || strings.Contains(out.String(), "FAULT") {
		t.Errorf("printed %v: %s", err, out.String())
	}
}

// TestPlantedFaults: the judge finds each of them, as this kind and no other.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		plant func(s *scenario)
		want  map[Fault]int
	}{
		{"a loss", func(s *scenario) { s.clients[1] = slices.Delete(s.clients[1], 3, 4) }, map[Fault]int{Lost: 1}},
		{"a loss where streams begin with everything", func(s *scenario) { s.run.ReplayAll = true }, map[Fault]int{Lost: 1}},
		{"a repeat", func(s *scenario) { s.clients[0] = slices.Insert(s.clients[0], 7, s.clients[0][3]) }, map[Fault]int{Repeated: 1}},
		{"a repeat of an event without an answer", func(s *scenario) { s.clients[0] = append(s.clients[0], s.clients[0][7]) }, map[Fault]int{Repeated: 1}},
		{"two clients receive two orders", func(s *scenario) { swap(s.clients[1], 3, 4) }, map[Fault]int{Disordered: 1}},
		{"all clients receive another order than was answered", func(s *scenario) {
			swap(s.clients[0], 6, 9)
			swap(s.clients[1], 3, 5)
		}, map[Fault]int{Disordered: 1}},
		{"a foreign event", func(s *scenario) {
			s.clients[0] = append(s.clients[0], record.Observation{Kind: record.Foreign, Why: "error"})
		}, map[Fault]int{Foreign: 1}},
		{"an event of nobody", func(s *scenario) { s.clients[0][7].Global = 77 }, map[Fault]int{Foreign: 1}},
		{"an event of a topic that the client does not follow", func(s *scenario) {
			s.clients[1] = append(s.clients[1], s.clients[0][8])
		}, map[Fault]int{Foreign: 1}},
		{"an id other than the answered one", func(s *scenario) { s.clients[1][3].ID = "id-9" }, map[Fault]int{WrongIDs: 1}},
		{"one id for two events", func(s *scenario) {
			s.events[2].ID = "id-1"
			s.clients[0][8].ID = "id-1"
		}, map[Fault]int{SharedIDs: 1}},
		{"a reset", func(s *scenario) {
			s.clients[1] = slices.Insert(s.clients[1], 3, record.Observation{Kind: record.Reset, At: 13})
		}, map[Fault]int{ResetsSeen: 1}},
		{"a client without a position", func(s *scenario) { s.clients[1] = slices.Delete(s.clients[1], 2, 3) }, map[Fault]int{WithoutPosition: 1}},
		{"a client that gave up", func(s *scenario) { s.clients[0] = s.clients[0][:8] }, map[Fault]int{WithoutEnd: 1, Lost: 2}},
		{"an end marker without an answer", func(s *scenario) { s.events[2].Done, s.events[2].ID = 0, "" }, map[Fault]int{EndMarkers: 1}},
		{"a missing disconnect", func(s *scenario) { s.callbacks = slices.Delete(s.callbacks, 1, 2) }, map[Fault]int{DisconnectsMissing: 1}},
		{"a duplicated disconnect", func(s *scenario) { s.callbacks = append(s.callbacks, s.callbacks[1]) }, map[Fault]int{DisconnectsDuplicated: 1}},
		{"a disconnect from two gateways", func(s *scenario) {
			s.run.Cuts = true
			other := s.callbacks[1]
			other.Gateway = "other"
			s.callbacks = append(s.callbacks, other)
		}, map[Fault]int{DisconnectsDuplicated: 1}},
		{"a disconnect after one that may have been a repeat", func(s *scenario) { swap(s.callbacks, 5, 6) }, map[Fault]int{DisconnectsDuplicated: 1}},
		{"a disconnect before its connect", func(s *scenario) { swap(s.callbacks, 0, 1) }, map[Fault]int{DisconnectsEarly: 1}},
	} {
		s := validRun()
		test.plant(&s)
		r := s.judge(t, Options{})
		var want [kinds]int
		for f, n := range test.want {
			want[f] = n
		}
		if r.Faults != want {
			t.Errorf("%s: faults %v, want %v; %v", test.name, r.Faults, want, r.Examples)
		}
		var out strings.Builder
		if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "FAULT") || !strings.Contains(out.String(), "FAIL") {
			t.Errorf("%s: printed %v: %s", test.name, err, out.String())
		}
	}
}

func swap[T any](list []T, i, j int) { list[i], list[j] = list[j], list[i] }

// TestAllowedOddities: the judge accepts what looks odd but is allowed.
func TestAllowedOddities(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		plan func(s *scenario)
		o    Options
	}{
		{"an event without an answer does not exist", func(s *scenario) {
			s.clients[0] = slices.Delete(s.clients[0], 7, 8)
			s.clients[1] = slices.Delete(s.clients[1], 4, 5)
		}, Options{}},
		{"concurrent events come in either order, the same for all", func(s *scenario) {
			swap(s.clients[0], 6, 7)
			swap(s.clients[1], 3, 4)
		}, Options{}},
		{"after an allowed reset all events come again", func(s *scenario) {
			s.clients[1] = slices.Concat(s.clients[1], []record.Observation{{Kind: record.Reset, At: 40}}, s.clients[1][3:])
		}, Options{AllowResets: true}},
		{"events before an allowed reset may be missing", func(s *scenario) {
			s.clients[0] = slices.Insert(s.clients[0], 8, record.Observation{Kind: record.Reset, At: 30})
			s.clients[0] = slices.Delete(s.clients[0], 3, 4)
		}, Options{AllowResets: true}},
		{"after an allowed reset earlier end markers may be missing", func(s *scenario) {
			s.clients[0] = append(s.clients[0][:8:8], record.Observation{Kind: record.Reset, At: 40}, record.Observation{Kind: record.Position, At: 41})
		}, Options{AllowResets: true}},
		{"a disconnect whose answer was not sent comes again", func(s *scenario) {
			again := s.callbacks[1]
			s.callbacks[1].Sent = false
			s.callbacks = append(s.callbacks, again)
		}, Options{}},
		{"a gateway repeats a disconnect while the network is cut", func(s *scenario) {
			s.run.Cuts = true
			s.callbacks = append(s.callbacks, s.callbacks[1])
		}, Options{}},
		{"the only disconnect is marked as redelivered", func(s *scenario) { s.callbacks[1].Redelivered = true }, Options{}},
	} {
		s := validRun()
		test.plan(&s)
		if r := s.judge(t, test.o); !r.OK() {
			t.Errorf("%s: faults %v: %v", test.name, r.Faults, r.Examples)
		}
	}
}

func TestRunsThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	empty := validRun()
	empty.clients[0], empty.clients[1] = empty.clients[0][:1], empty.clients[1][:1]
	if r := empty.judge(t, Options{}); r.OK() {
		t.Error("a run that requires no event passed")
	}
	for name, test := range map[string]struct {
		spoil func(s *scenario)
		o     Options
		want  error
	}{
		"too large":                  {func(*scenario) {}, Options{MaxEvents: 4}, ErrTooMany},
		"a topic out of range":       {func(s *scenario) { s.events[0].Topic = 2 }, Options{}, record.ErrInvalid},
		"an event twice":             {func(s *scenario) { s.events[0].Global = 2 }, Options{}, record.ErrInvalid},
		"a client follows nothing":   {func(s *scenario) { s.clients[0] = s.clients[0][1:2] }, Options{}, record.ErrInvalid},
		"a client is not in the run": {func(s *scenario) { s.run.Clients = 3 }, Options{}, os.ErrNotExist},
		"a client of no topic":       {func(s *scenario) { s.clients[0][0].Topics = []int{9} }, Options{}, record.ErrInvalid},
		"an invalid observation":     {func(s *scenario) { s.clients[0][3].Kind = "other" }, Options{}, record.ErrInvalid},
		"an invalid callback":        {func(s *scenario) { s.callbacks[0].Stream = "" }, Options{}, record.ErrInvalid},
		"an invalid event":           {func(s *scenario) { s.events[0].Number = 0 }, Options{}, record.ErrInvalid},
	} {
		s := validRun()
		test.spoil(&s)
		if _, err := Judge(s.write(t), test.o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
