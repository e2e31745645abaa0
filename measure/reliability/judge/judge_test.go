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

// story is a small run, as records: two publishers, two topics, two clients.
type story struct {
	run       record.Run
	events    []record.Event
	clients   [][]record.Seen
	callbacks []record.Callback
}

// told is a run in which everything held. Events 1, 2 and 4 are in topic 0, 3
// in topic 1; 4 and 3 are the end markers. 5 was begun beside 2 and never answered.
func told() story {
	shown := func(global uint64, publisher, topic, number int) record.Seen {
		return record.Seen{Kind: record.Shown, ID: fmt.Sprint("id-", global), Global: global, Publisher: publisher, Topic: topic, Number: number}
	}
	return story{
		run: record.Run{Publishers: 2, Topics: 2, Clients: 2, Callbacks: true},
		events: []record.Event{
			{Global: 1, Topic: 0, Number: 1, Begin: 10, Done: 13, ID: "id-1", Attempts: 1},
			{Global: 2, Publisher: 1, Topic: 0, Number: 1, Begin: 14, Done: 20, ID: "id-2", Attempts: 3},
			{Global: 3, Topic: 1, Number: 1, Begin: 31, Done: 32, ID: "id-3", Attempts: 1, End: true},
			{Global: 4, Publisher: 1, Topic: 0, Number: 2, Begin: 33, Done: 34, ID: "id-4", Attempts: 1, End: true},
			{Global: 5, Topic: 0, Number: 2, Begin: 15, Attempts: 9},
		},
		clients: [][]record.Seen{
			{
				{Kind: record.Topics, Topics: []int{0, 1}}, {Kind: record.Open}, {Kind: record.Position, At: 5},
				shown(1, 0, 0, 1), {Kind: record.Gone, Why: "left"}, {Kind: record.Open, ID: "id-1"},
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

// write makes the files of a story.
func (s story) write(t *testing.T) string {
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

func (s story) judge(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Judge(s.write(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARunInWhichEverythingHeld(t *testing.T) {
	t.Parallel()
	r := told().judge(t, Options{})
	if !r.OK() {
		t.Errorf("faults %v: %v", r.Faults, r.Examples)
	}
	want := Report{Answered: 4, Unanswered: 1, Shown: 8, ShownUnanswered: 2, Required: 6, Opened: 3, Accepted: 2, Disconnected: 3, Redelivered: 1, NeverAccepted: 1}
	want.Run = r.Run
	if got := *r; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("report\n%+v, want\n%+v", got, want)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "PASS") || strings.Contains(out.String(), "FAULT") {
		t.Errorf("printed %v: %s", err, out.String())
	}
}

// TestPlantedFaults: each of them is seen, as what it is and as nothing else.
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		plant func(s *story)
		want  map[Fault]int
	}{
		{"a loss", func(s *story) { s.clients[1] = slices.Delete(s.clients[1], 3, 4) }, map[Fault]int{Lost: 1}},
		{"a loss where streams begin with everything", func(s *story) { s.run.ReplayAll = true }, map[Fault]int{Lost: 1}},
		{"a repeat", func(s *story) { s.clients[0] = slices.Insert(s.clients[0], 7, s.clients[0][3]) }, map[Fault]int{Repeated: 1}},
		{"a repeat of what was never answered", func(s *story) { s.clients[0] = append(s.clients[0], s.clients[0][7]) }, map[Fault]int{Repeated: 1}},
		{"two clients are shown two orders", func(s *story) { swap(s.clients[1], 3, 4) }, map[Fault]int{Disordered: 1}},
		{"all clients are shown another order than was answered", func(s *story) {
			swap(s.clients[0], 6, 9)
			swap(s.clients[1], 3, 5)
		}, map[Fault]int{Disordered: 1}},
		{"a foreign event", func(s *story) { s.clients[0] = append(s.clients[0], record.Seen{Kind: record.Foreign, Why: "error"}) }, map[Fault]int{Foreign: 1}},
		{"an event of nobody", func(s *story) { s.clients[0][7].Global = 77 }, map[Fault]int{Foreign: 1}},
		{"an event of a topic that the client does not follow", func(s *story) {
			s.clients[1] = append(s.clients[1], s.clients[0][8])
		}, map[Fault]int{Foreign: 1}},
		{"another id than was answered", func(s *story) { s.clients[1][3].ID = "id-9" }, map[Fault]int{OtherIDs: 1}},
		{"one id for two events", func(s *story) {
			s.events[2].ID = "id-1"
			s.clients[0][8].ID = "id-1"
		}, map[Fault]int{SharedIDs: 1}},
		{"a reset", func(s *story) {
			s.clients[1] = slices.Insert(s.clients[1], 3, record.Seen{Kind: record.Reset, At: 13})
		}, map[Fault]int{ResetsSeen: 1}},
		{"a client without a position", func(s *story) { s.clients[1] = slices.Delete(s.clients[1], 2, 3) }, map[Fault]int{NeverInPlace: 1}},
		{"a client that gave up", func(s *story) { s.clients[0] = s.clients[0][:8] }, map[Fault]int{Incomplete: 1, Lost: 2}},
		{"an end marker without an answer", func(s *story) { s.events[2].Done, s.events[2].ID = 0, "" }, map[Fault]int{EndMarkers: 1}},
		{"a missing disconnect", func(s *story) { s.callbacks = slices.Delete(s.callbacks, 1, 2) }, map[Fault]int{DisconnectsMissing: 1}},
		{"a doubled disconnect", func(s *story) { s.callbacks = append(s.callbacks, s.callbacks[1]) }, map[Fault]int{DisconnectsDoubled: 1}},
		{"a disconnect that two gateways tell", func(s *story) {
			s.run.Cuts = true
			other := s.callbacks[1]
			other.Gateway = "other"
			s.callbacks = append(s.callbacks, other)
		}, map[Fault]int{DisconnectsDoubled: 1}},
		{"a disconnect after one that may have been a repeat", func(s *story) { swap(s.callbacks, 5, 6) }, map[Fault]int{DisconnectsDoubled: 1}},
		{"a disconnect before its connect", func(s *story) { swap(s.callbacks, 0, 1) }, map[Fault]int{DisconnectsEarly: 1}},
	} {
		s := told()
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

// TestWhatMayBe: things that look odd and are allowed.
func TestWhatMayBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		plan func(s *story)
		o    Options
	}{
		{"an event that was never answered is not there", func(s *story) {
			s.clients[0] = slices.Delete(s.clients[0], 7, 8)
			s.clients[1] = slices.Delete(s.clients[1], 4, 5)
		}, Options{}},
		{"events that were under way together come in either order, for all alike", func(s *story) {
			swap(s.clients[0], 6, 7)
			swap(s.clients[1], 3, 4)
		}, Options{}},
		{"after a reset that is allowed all comes again", func(s *story) {
			s.clients[1] = slices.Concat(s.clients[1], []record.Seen{{Kind: record.Reset, At: 40}}, s.clients[1][3:])
		}, Options{AllowResets: true}},
		{"what was before a reset that is allowed need not be there", func(s *story) {
			s.clients[0] = slices.Insert(s.clients[0], 8, record.Seen{Kind: record.Reset, At: 30})
			s.clients[0] = slices.Delete(s.clients[0], 3, 4)
		}, Options{AllowResets: true}},
		{"after a reset that is allowed end markers of before need not come", func(s *story) {
			s.clients[0] = append(s.clients[0][:8:8], record.Seen{Kind: record.Reset, At: 40}, record.Seen{Kind: record.Position, At: 41})
		}, Options{AllowResets: true}},
		{"a disconnect whose answer was not written out comes again", func(s *story) {
			again := s.callbacks[1]
			s.callbacks[1].Sent = false
			s.callbacks = append(s.callbacks, again)
		}, Options{}},
		{"a gateway tells a disconnect again when the network was cut", func(s *story) {
			s.run.Cuts = true
			s.callbacks = append(s.callbacks, s.callbacks[1])
		}, Options{}},
		{"only a disconnect that may be a repeat comes", func(s *story) { s.callbacks[1].Redelivered = true }, Options{}},
	} {
		s := told()
		test.plan(&s)
		if r := s.judge(t, test.o); !r.OK() {
			t.Errorf("%s: faults %v: %v", test.name, r.Faults, r.Examples)
		}
	}
}

func TestRunsThatCannotBeJudged(t *testing.T) {
	t.Parallel()
	empty := told()
	empty.clients[0], empty.clients[1] = empty.clients[0][:1], empty.clients[1][:1]
	if r := empty.judge(t, Options{}); r.OK() {
		t.Error("a run in which nothing had to be shown passed")
	}
	for name, test := range map[string]struct {
		spoil func(s *story)
		o     Options
		want  error
	}{
		"too large":                  {func(*story) {}, Options{MaxEvents: 4}, ErrTooMany},
		"a topic that is not there":  {func(s *story) { s.events[0].Topic = 2 }, Options{}, record.ErrInvalid},
		"an event twice":             {func(s *story) { s.events[0].Global = 2 }, Options{}, record.ErrInvalid},
		"a client follows nothing":   {func(s *story) { s.clients[0] = s.clients[0][1:2] }, Options{}, record.ErrInvalid},
		"a client is not in the run": {func(s *story) { s.run.Clients = 3 }, Options{}, os.ErrNotExist},
		"a follower of what is not":  {func(s *story) { s.clients[0][0].Topics = []int{9} }, Options{}, record.ErrInvalid},
		"something that cannot be":   {func(s *story) { s.clients[0][3].Kind = "other" }, Options{}, record.ErrInvalid},
		"a callback that cannot be":  {func(s *story) { s.callbacks[0].Stream = "" }, Options{}, record.ErrInvalid},
		"a publisher that cannot be": {func(s *story) { s.events[0].Number = 0 }, Options{}, record.ErrInvalid},
	} {
		s := told()
		test.spoil(&s)
		if _, err := Judge(s.write(t), test.o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
