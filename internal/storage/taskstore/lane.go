package taskstore

import "tidegate/task"

// lane is a part of the queue with a consumer of its own: tasks of one type and one
// priority. Among them the oldest is leased first.
type lane struct {
	typ      string
	priority task.Priority
}

func laneOf(rec task.Record) lane { return lane{rec.Type, rec.Priority} }

// queueSubject is where the queue has a task. A lane of a priority that is not normal
// has one token more, so that the filters of no two consumers overlap.
func (t *Store) queueSubject(l lane, id string) string {
	middle := map[task.Priority]string{task.High: "high.", task.Low: "low."}[l.priority]
	return t.e.Subject("tk.q." + plainToken(l.typ) + "." + middle + id)
}

// consumerName is the name of the consumer of a lane.
func (l lane) consumerName() string {
	prefix := map[task.Priority]string{task.High: "qh-", task.Low: "ql-"}[l.priority]
	if prefix == "" {
		prefix = "q-"
	}
	return prefix + plainToken(l.typ)
}

// sawPriority notes that there are tasks of a priority. The caller holds mu.
func (l *taskList) sawPriority(p task.Priority) {
	if p != task.Normal {
		l.high = l.high || p == task.High
		l.low = l.low || p == task.Low
	}
}

// priorities are those of which there have been tasks, the highest first. Others need
// not be looked for.
func (l *taskList) priorities() (seen []task.Priority) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range task.Priorities() {
		if p == task.Normal || p == task.High && l.high || p == task.Low && l.low {
			seen = append(seen, p)
		}
	}
	return seen
}
