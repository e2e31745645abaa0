package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// report is the result of a run. While tasks are judged, mu guards the fields.
type report struct {
	allowResets bool

	mu         sync.Mutex
	tasks      int
	attempts   int
	byStatus   map[string]int
	rerun      int // tasks with more than one task_started in their log
	lost       int // demo tasks that did not complete, because their workers died too often
	watched    int
	streams    int
	resets     int
	faultCount int
	faults     []string // the first maxFaults
}

const maxFaults = 20

func (r *report) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.faultCount++; len(r.faults) < maxFaults {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

func (r *report) ok() bool { return r.faultCount == 0 }

// judge compares lists, states and logs of all tasks.
func (j *job) judge(ctx context.Context, all []*started) error {
	r := j.report
	r.tasks, r.byStatus = len(all), map[string]int{}
	for _, base := range j.tasks {
		listed, err := j.list(ctx, base)
		if err != nil {
			return err
		}
		for _, s := range all {
			if i := listed[s.id]; len(i) != 1 || !i[0].final() || i[0].Kind != s.kind {
				r.fault("task %s (%s) is in the list of %s as %+v, want one final entry", s.id, s.kind, base, i)
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, s := range all {
		group.Go(func() error { return j.judgeTask(ctx, s) })
	}
	return group.Wait()
}

// logTime bounds reading the log of a final task to its end, retries included.
const logTime = 30 * time.Second

// judgeTask judges one task.
func (j *job) judgeTask(ctx context.Context, s *started) error {
	i, err := j.show(ctx, j.tasks[0], s.id)
	if err != nil {
		return fmt.Errorf("status of a task: %w", err)
	}
	r := j.report
	if i.missing || !i.final() {
		r.fault("task %s (%s) is not final: %+v", s.id, s.kind, i)
		return nil // its log has no end yet
	}
	log := newWatch(s.id)
	reading, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	if err := log.read(reading, j.public); err != nil && ctx.Err() == nil {
		r.fault("the log of task %s (%s) does not end: %s; %v", s.id, i.Status, outline(log.seen), err)
	}
	for _, problem := range problems(s, i.Status, log.seen) {
		r.fault("task %s (%s, %s): %s; its log: %s", s.id, s.kind, i.Status, problem, outline(log.seen))
	}
	if w := s.watched; w != nil {
		j.compare(w, log)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byStatus[i.Status]++
	if count(log.seen, "task_started") > 1 {
		r.rerun++
	}
	if s.kind == "demo_task" && i.Status != "completed" {
		r.lost++
	}
	return nil
}

// compare compares what a watcher received with the log.
func (j *job) compare(w, log *watch) {
	r := j.report
	r.mu.Lock()
	r.watched++
	r.streams += w.opened
	r.resets += w.resets
	r.mu.Unlock()
	switch {
	case w.resets > 0 && !r.allowResets:
		r.fault("the watcher of task %s received %d resets", w.id, w.resets)
	case !w.over:
		r.fault("who watched task %s did not see its end; it saw %s", w.id, outline(w.seen))
	case !slices.Equal(w.seen, log.seen):
		r.fault("who watched task %s saw %s, its log is %s", w.id, outline(w.seen), outline(log.seen))
	}
}

var terminal = []string{"task_completed", "task_failed", "task_cancelled"}

// taskEvent is the data of a task_event.
type taskEvent struct {
	Type   string `json:"event_type"`
	TaskID string `json:"task_id"`
}

// problems returns what is wrong with the log of a final task.
func problems(s *started, status string, log []entry) (found []string) {
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	ends, closes, last := 0, 0, ""
	ids := map[string]bool{}
	for n, e := range log {
		if e.ID == "" || ids[e.ID] {
			add("event %d has no unique id (%q)", n, e.ID)
		}
		ids[e.ID] = true
		switch e.Name {
		case "task_event":
			var ev taskEvent
			if err := json.Unmarshal([]byte(e.Data), &ev); err != nil || ev.TaskID != s.id {
				add("event %d does not belong to the task: %.200s", n, e.Data)
			}
			if ends > 0 {
				add("%s comes after the terminal event", ev.Type)
			}
			if slices.Contains(terminal, ev.Type) {
				ends++
				last = ev.Type
			}
		case "connection_close":
			var ev struct{ Reason string }
			if err := json.Unmarshal([]byte(e.Data), &ev); err != nil || ev.Reason != last {
				add("connection_close says %.200s after %q", e.Data, last)
			}
			if closes++; n != len(log)-1 {
				add("an event comes after connection_close")
			}
		default:
			add("event %d has the unexpected name %q", n, e.Name)
		}
	}
	if ends != 1 || closes != 1 {
		add("%d terminal events and %d connection_close, want one of each", ends, closes)
	}
	if last != "task_"+status {
		add("the log ends with %q", last)
	}
	if s.kind == "failing_task" && status == "completed" {
		add("a failing task has completed")
	}
	return found
}

func count(log []entry, typ string) (n int) {
	for _, e := range log {
		var ev taskEvent
		if json.Unmarshal([]byte(e.Data), &ev) == nil && ev.Type == typ {
			n++
		}
	}
	return n
}

// outline summarizes a log.
func outline(log []entry) string {
	var words []string
	for _, e := range log[:min(len(log), 30)] {
		var ev taskEvent
		if json.Unmarshal([]byte(e.Data), &ev) == nil && ev.Type != "" {
			words = append(words, ev.Type)
		} else {
			words = append(words, e.Name)
		}
	}
	return fmt.Sprintf("%d events %v", len(log), words)
}

func (r *report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\t\n", name, value) }
	row("tasks started", r.tasks)
	row("requests", r.attempts)
	row("completed", r.byStatus["completed"])
	row("failed", r.byStatus["failed"])
	row("cancelled", r.byStatus["cancelled"])
	row("run more than once", r.rerun)
	row("demo tasks that did not complete", r.lost)
	row("watched", r.watched)
	row("streams of watchers", r.streams)
	row("resets", r.resets)
	row("faults", r.faultCount)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, fault := range r.faults {
		fmt.Fprintln(w, "FAULT", fault)
	}
	verdict := "PASS: all promises held"
	if !r.ok() {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}
