package taskstore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tidegate/task"
)

// Bounds of what a taskList has of the parts of a record that can be large.
const (
	maxListedResult = 512
	maxListedError  = 1 << 10
)

// taskList is a copy of all records without their large parts, so that lists and
// counts cost no call. Whoever writes a record puts it in at once; what others
// wrote comes from the stream.
type taskList struct {
	mu       sync.Mutex
	rows     map[string]*taskRow
	order    []*taskRow // by Seq if sorted; forgotten rows stay until tidy
	sorted   bool
	gaps     int // forgotten rows in order
	byState  map[task.State]int
	high     bool // there has been a task of a high priority
	low      bool // or of a low one
	full     bool // there is little room in the stream
	complete bool // all records that there are are in it
	removed  map[string]removal
}

// removal is of a task that somebody removed. It is remembered for as long as the
// stream does, so that it is noted once, and a record from before that is still on
// its way does not bring the task back.
type removal struct {
	seq   uint64
	until time.Time
}

// taskRow is a record in the list. Guarded by taskList.mu.
type taskRow struct {
	task.Record
	parts   taskParts
	expires time.Time // zero if never
	dropped bool
	seen    bool // since the list was last compared with all that there is
}

func newTaskList() *taskList {
	return &taskList{rows: map[string]*taskRow{}, byState: map[task.State]int{}, removed: map[string]removal{}, sorted: true}
}

// expiryMargin is how much later than the store the list forgets: clocks differ.
const expiryMargin = 2 * time.Second

// expiry is when a record may be forgotten here; zero is never.
func expiry(rec task.Record) time.Time {
	if !rec.State.Final() {
		return time.Time{}
	}
	return rec.Ended.Add(wholeSeconds(rec.Retention) + expiryMargin)
}

// put notes a version of a record, unless it is known or older than what is.
func (l *taskList) put(rec task.Record, parts taskParts, expires time.Time) (news bool) {
	rec = listed(rec, parts)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rows[rec.ID]
	if rec.Revision <= l.removed[rec.ID].seq {
		return false
	}
	if r == nil {
		r = &taskRow{}
		l.rows[rec.ID] = r
		l.sorted = l.sorted && (len(l.order) == 0 || l.order[len(l.order)-1].Seq < rec.Seq)
		l.order = append(l.order, r)
	} else {
		r.seen = true
		if rec.Revision <= r.Revision {
			return false
		}
		l.byState[r.State]--
	}
	l.byState[rec.State]++
	l.sawPriority(rec.Priority)
	r.Record, r.parts, r.expires, r.seen = rec, parts, expires, true
	return true
}

// listed is rec without what may be large.
func listed(rec task.Record, parts taskParts) task.Record {
	rec.Partial = parts.Result != "" || parts.Error != "" || len(rec.Result) > maxListedResult || len(rec.Error) > maxListedError
	rec.Params = nil
	if len(rec.Result) > maxListedResult {
		rec.Result = nil
	}
	rec.Error = prefix(rec.Error, maxListedError)
	return rec
}

// forget drops a record if it is not newer than seq, and returns what it had aside.
func (l *taskList) remove(id string, seq uint64) (parts taskParts, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removeLocked(id, seq)
}

func (l *taskList) removeLocked(id string, seq uint64) (parts taskParts, known bool) {
	r := l.rows[id]
	if r == nil || r.Revision > seq {
		return taskParts{}, false
	}
	return l.drop(r), true
}

// remove is forget for a task that was removed by the message at seq. It reports
// whether that is news, also of a task that the list has not had yet.
func (l *taskList) removeTombstoned(id string, seq uint64, now time.Time) (parts taskParts, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed[id].seq >= seq {
		return taskParts{}, false
	}
	l.removed[id] = removal{seq, now.Add(tombstoneTTL)}
	parts, _ = l.removeLocked(id, seq)
	return parts, true
}

// drop drops a row. The caller holds mu.
func (l *taskList) drop(r *taskRow) taskParts {
	parts := r.parts
	delete(l.rows, r.ID)
	l.byState[r.State]--
	*r = taskRow{Record: task.Record{ID: r.ID, Seq: r.Seq}, dropped: true}
	l.gaps++
	if l.gaps > len(l.order)/2 {
		l.order = slices.DeleteFunc(l.order, func(r *taskRow) bool { return r.dropped })
		l.gaps = 0
	}
	return parts
}

// goneTask is a record that was dropped from a list.
type droppedTask struct {
	id  string
	seq uint64
}

// expired returns what may be forgotten at the given time.
func (l *taskList) expired(at time.Time) (gone []droppedTask) {
	l.mu.Lock()
	maps.DeleteFunc(l.removed, func(_ string, r removal) bool { return at.After(r.until) })
	l.mu.Unlock()
	return l.choose(func(r *taskRow) bool { return !r.expires.IsZero() && at.After(r.expires) })
}

// unseen returns what was not put in since the last call of unsee, up to number
// last of the stream.
func (l *taskList) unseen(last uint64) (gone []droppedTask) {
	return l.choose(func(r *taskRow) bool { return !r.seen && r.Revision <= last })
}

// unsee begins a comparison with all that there is. It lasts until sawAll: until then
// the list may not have all.
func (l *taskList) resetSeen() {
	l.setComplete(false)
	l.choose(func(r *taskRow) bool { r.seen = false; return false })
}

// sawAll notes that all has been put in.
func (l *taskList) sawAll() { l.setComplete(true) }

func (l *taskList) setComplete(whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complete = whole
}

func (l *taskList) choose(which func(*taskRow) bool) (chosen []droppedTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		if which(r) {
			chosen = append(chosen, droppedTask{r.ID, r.Revision})
		}
	}
	return chosen
}

// open returns the records of tasks that are not over.
func (l *taskList) open() (recs []task.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		if !r.State.Final() {
			recs = append(recs, r.Record)
		}
	}
	return recs
}

// clear forgets everything: the stream is another one.
func (l *taskList) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows, l.byState, l.removed = map[string]*taskRow{}, map[task.State]int{}, map[string]removal{}
	l.order, l.sorted, l.gaps, l.complete = nil, true, 0, false
}

func (l *taskList) peek(id string) (task.Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.rows[id]; r != nil {
		return r.Record, true
	}
	return task.Record{}, false
}

// lacks reports whether a task is not there, for whoever alone writes to the store:
// what it writes is in the list before anybody learns of it. While the list may not
// have all that was there before, it says so of none.
func (l *taskList) lacks(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complete && l.rows[id] == nil
}

// parts returns what a record has aside, as far as is known here.
func (l *taskList) parts(id string) taskParts {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.rows[id]; r != nil {
		return r.parts
	}
	return taskParts{}
}

// objects returns the names of all objects that belong to a record, and whether the
// list has all records.
func (l *taskList) objects() (names map[string]bool, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names = map[string]bool{}
	for _, r := range l.rows {
		for _, name := range r.parts.names() {
			names[name] = true
		}
	}
	return names, l.complete
}

// room returns an error if there is none for one more pending task.
func (l *taskList) room(maxTasks, maxPending int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return fmt.Errorf("%w: the store is nearly full", task.ErrBusy)
	}
	if n := l.byState[task.Pending]; n >= maxPending {
		return fmt.Errorf("%w: %d are pending", task.ErrBusy, n)
	}
	if n := len(l.rows); n >= maxTasks {
		return fmt.Errorf("%w: %d are remembered", task.ErrBusy, n)
	}
	return nil
}

// setFull says whether there is little room: then no task is taken, so that those
// that were can end.
func (l *taskList) setFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

func (l *taskList) counts() map[task.State]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[task.State]int, 5)
	for _, s := range task.States() {
		counts[s] = l.byState[s]
	}
	return counts
}

// listStep is how many rows are looked at under one hold of the lock.
const listStep = 1000

// scan returns up to limit records older than before, newest first.
func (l *taskList) scan(before uint64, f task.Filter, limit int) (found []task.Record) {
	for before > 0 && len(found) < limit {
		found, before = l.scanSome(found, before, f, limit)
	}
	return found
}

func (l *taskList) scanSome(found []task.Record, before uint64, f task.Filter, limit int) ([]task.Record, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sorted {
		slices.SortFunc(l.order, func(a, b *taskRow) int { return cmp.Compare(a.Seq, b.Seq) })
		l.sorted = true
	}
	i, _ := slices.BinarySearchFunc(l.order, before, func(r *taskRow, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	for range listStep {
		i--
		if i < 0 {
			return found, 0
		}
		r := l.order[i]
		if !r.dropped && (f.State == "" || f.State == r.State) && (f.Type == "" || f.Type == r.Type) {
			if found = append(found, r.Record); len(found) == limit {
				break
			}
		}
	}
	return found, l.order[i].Seq
}
