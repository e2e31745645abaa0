package task

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keptLog is a log that has kept its end, and counts what is published.
type keptLog struct {
	end    LogEnd
	ok     bool
	closed bool
	mu     sync.Mutex
	kinds  []string
	asked  int
}

func (l *keptLog) Publish(_ context.Context, _ string, events []Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.kinds = append(l.kinds, e.Name)
	}
	return nil
}

func (l *keptLog) Ended(context.Context, string) (terminal, closed bool, err error) {
	return l.ok, l.closed, nil
}

func (l *keptLog) End(context.Context, string) (LogEnd, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return l.end, l.ok, nil
}

// TestX40ARecordThatIsOlderThanItsLogBecomesWhatThatSays: the power took the end of a
// task from its record, and not from its log. The status said failed then, or the
// task ran again, after everybody had been shown that it was completed.
func TestX40ARecordThatIsOlderThanItsLogBecomesWhatThatSays(t *testing.T) {
	t.Parallel()
	running := func(rec *Record) { _ = rec.begin("gone", time.Minute, now()) }
	pending := func(*Record) {}
	completed := LogEnd{State: Completed, Result: json.RawMessage(`{"n":1}`), At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for name, tt := range map[string]struct {
		left   func(*Record)
		log    *keptLog
		want   State
		runs   int
		events []string
	}{
		"running, closed":         {running, &keptLog{end: completed, ok: true, closed: true}, Completed, 0, nil},
		"running, not closed yet": {running, &keptLog{end: completed, ok: true}, Completed, 0, []string{EventClose}},
		"pending":                 {pending, &keptLog{end: completed, ok: true, closed: true}, Completed, 0, nil},
		"failed":                  {pending, &keptLog{end: LogEnd{State: Failed, Error: "why", At: completed.At}, ok: true, closed: true}, Failed, 0, nil},
		"cancelled":               {running, &keptLog{end: LogEnd{State: Cancelled, At: completed.At}, ok: true, closed: true}, Cancelled, 0, nil},
		"running, no end":         {running, &keptLog{}, Failed, 0, []string{EventTask, EventTask, EventClose}},
		"pending, no end":         {pending, &keptLog{}, Completed, 1, []string{EventTask, EventTask, EventClose}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &leasingStore{}
				opts, err := Options{Publisher: &keptLog{}}.withDefaults()
				if err != nil {
					t.Fatal(err)
				}
				store.memory = newMemory(opts, func(string) {})
				first, err := New(Options{Publisher: &keptLog{}, Store: store})
				if err != nil {
					t.Fatal(err)
				}
				runs := 0
				kind := Type{Name: "job", Run: func(context.Context, *Run) (any, error) { runs++; return 1, nil }}
				if err := first.Register(kind); err != nil {
					t.Fatal(err)
				}
				info, err := first.Start(t.Context(), "job", nil)
				if err != nil {
					t.Fatal(err)
				}
				rec, err := store.Load(t.Context(), info.ID)
				if err != nil {
					t.Fatal(err)
				}
				if tt.left(&rec); rec.State == Running {
					if _, err := store.Update(t.Context(), rec); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				log := tt.log
				s, err := New(Options{Publisher: log, Store: store})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Register(kind); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx) }()
				time.Sleep(time.Minute)
				synctest.Wait()
				got, err := s.Get(t.Context(), info.ID)
				if err != nil || got.Status != tt.want || runs != tt.runs || !slices.Equal(log.kinds, tt.events) {
					t.Errorf("status %s after %d runs, %v, published %q; want %s after %d, %q", got.Status, runs, err, log.kinds, tt.want, tt.runs, tt.events)
				}
				if tt.log.ok && !log.end.At.Equal(*got.EndTime) || tt.want == Completed && tt.log.ok && string(got.Result) != `{"n":1}` || log.end.Error != "" && *got.Error != "why" {
					t.Errorf("task is %+v, its log said %+v", got, log.end)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
