package task

import (
	"cmp"
	"math"
	"strconv"
)

// Filter chooses tasks for [Service.List]. The zero value is the newest page of all.
type Filter struct {
	State State  // only this state, if not empty
	Type  string // only this type, if not empty
	After string // the next of the page before; opaque
	Limit int    // items in the page; default 100, at most 1000
}

// matches reports whether rec is what f asks for.
func (f Filter) matches(rec Record) bool {
	return (f.State == "" || f.State == rec.State) && (f.Type == "" || f.Type == rec.Type)
}

// Bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// List returns a page of tasks, newest first. next is what to pass as Filter.After to get
// the following page; it is empty on the last one. Tasks that begin meanwhile do not move
// the pages. The page after something that no page returned is empty.
// All services that share a store return the same, some of them a moment later.
func (s *Service) List(f Filter) (items []Info, next string) {
	before := uint64(math.MaxUint64)
	if f.After != "" {
		var err error
		if before, err = strconv.ParseUint(f.After, 36, 64); err != nil {
			return nil, ""
		}
	}
	limit := min(cmp.Or(max(f.Limit, 0), defaultPage), maxPage)

	// One more than asked for shows whether this is the last page.
	found := s.store.List(before, f, limit+1)
	if len(found) > limit {
		found = found[:limit]
		next = strconv.FormatUint(found[limit-1].Seq, 36)
	}
	items = make([]Info, len(found))
	for i, rec := range found {
		items[i] = s.info(rec)
	}
	return items, next
}
