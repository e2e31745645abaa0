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

// Bounds of the large parts of a record in a taskList, in bytes.
const (
	maxListedResult = 512
	maxListedError  = 1 << 10
)

// taskList is a copy of all records without their large parts, so that lists and counts cost
// no request. What this process writes is in it at once; what others write comes from the
// stream.
type taskList struct {
	mu       sync.Mutex
	rows     map[string]*taskRow
	order    []*taskRow // by Seq if sorted; dropped rows stay until there are too many
	sorted   bool
	gaps     int // dropped rows in order
	byState  map[task.State]int
	high     bool // there has been a task of a high priority
	low      bool // or of a low one
	full     bool // there is little room in the stream
	complete bool // it has all records
	removed  map[string]removal
}

// removal is the tombstone of a task that was removed. It is kept as long as in the stream. So it
// counts once, and an older record that is still on its way does not bring the task back.
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
	seen    bool // since the current pass through the stream began
}

func newTaskList() *taskList {
	return &taskList{rows: map[string]*taskRow{}, byState: map[task.State]int{}, removed: map[string]removal{}, sorted: true}
}

// expiryMargin is how much later than in the stream records expire here: clocks differ.
const expiryMargin = 2 * time.Second

// expiry is when a record expires here; zero is never.
func expiry(rec task.Record) time.Time {
	if !rec.State.Final() {
		return time.Time{}
	}
	return rec.Ended.Add(wholeSeconds(rec.Retention) + expiryMargin)
}

// put notes a version of a record, and reports whether it is newer than the known one.
func (l *taskList) put(rec task.Record, parts taskParts, expires time.Time) (isNew bool) {
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

// listed is rec without its large parts.
func listed(rec task.Record, parts taskParts) task.Record {
	rec.Partial = parts.Result != "" || parts.Error != "" || len(rec.Result) > maxListedResult || len(rec.Error) > maxListedError
	rec.Params = nil
	if len(rec.Result) > maxListedResult {
		rec.Result = nil
	}
	rec.Error = prefix(rec.Error, maxListedError)
	return rec
}

// remove drops a record if it is not newer than seq, and returns its objects.
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

// removeTombstoned is remove for a task whose tombstone is at seq. It reports whether the
// tombstone is new, also for a task that the list has not had.
func (l *taskList) removeTombstoned(id string, seq uint64, now time.Time) (parts taskParts, isNew bool) {
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

// droppedTask is a record that is dropped, or about to be.
type droppedTask struct {
	id  string
	seq uint64
}

// expired returns the records that have expired at the given time, and drops old tombstones.
func (l *taskList) expired(at time.Time) (gone []droppedTask) {
	l.mu.Lock()
	maps.DeleteFunc(l.removed, func(_ string, r removal) bool { return at.After(r.until) })
	l.mu.Unlock()
	return l.choose(func(r *taskRow) bool { return !r.expires.IsZero() && at.After(r.expires) })
}

// unseen returns the records that have not come since resetSeen, up to sequence number last.
func (l *taskList) unseen(last uint64) (gone []droppedTask) {
	return l.choose(func(r *taskRow) bool { return !r.seen && r.Revision <= last })
}

// resetSeen begins a pass through the stream. Until sawAll the list may lack records.
func (l *taskList) resetSeen() {
	l.setComplete(false)
	l.choose(func(r *taskRow) bool { r.seen = false; return false })
}

// sawAll notes that all records have come.
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

// clear drops everything: the stream has lost records.
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

// lacks reports whether a task does not exist, if no other process writes to the store. What
// this process writes is in the list before anybody learns of it. While the list may lack
// records the answer is false.
func (l *taskList) lacks(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complete && l.rows[id] == nil
}

// parts returns the names of a record's objects, as far as the list knows.
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
		return fmt.Errorf("%w: %d are kept", task.ErrBusy, n)
	}
	return nil
}

// setFull notes whether the stream has little room. Then no task is accepted, so that those
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

// listStep is how many rows are visited before the lock is released once.
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
