package packed

import (
	"cmp"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Options bound the table of a [Store]. The zero value of a field stands for its default.
type Options struct {
	MaxLines int // default 8192: header lines that are held once for all requests
	MaxText  int // default 1 MiB: bytes of text in them
	// Headers are the names of the headers that are kept; nil: all. [Always] are
	// kept besides. Of what is left out nothing is copied.
	Headers []string
}

// Always are the headers that are always kept: callbacks promise the host, and a stream
// resumes after the id.
var Always = []string{"host", "last-event-id"}

// Store packs requests, and holds the header lines that they share. A line that finds no
// room in its table stays in its request, which is larger then.
//
// A Store is safe for concurrent use; make it with [New].
type Store struct {
	seed    maphash.Seed
	table   *table
	keep    map[string]bool // set once: names in lower case; nil: all
	scratch sync.Pool       // of *scratch
}

// New returns an empty Store.
func New(opts Options) *Store {
	var keep map[string]bool
	if opts.Headers != nil {
		keep = make(map[string]bool)
		for _, name := range slices.Concat(opts.Headers, Always) {
			keep[strings.ToLower(name)] = true
		}
	}
	return &Store{
		keep:    keep,
		seed:    maphash.MakeSeed(),
		table:   newTable(cmp.Or(opts.MaxLines, 8192), cmp.Or(opts.MaxText, 1<<20)),
		scratch: sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Pack copies what callbacks report of r, and keeps no reference to r. The caller must
// call [Store.Release] once for the result.
//
// Of headers whose names differ only in case, which net/http does not hand out,
// one is kept; and the Host of r counts before a header of that name.
func (s *Store) Pack(r *http.Request) Request {
	w := s.scratch.Get().(*scratch)
	defer s.recycle(w)
	w.read(r, s.keep)
	w.hash(s.seed)
	s.table.claim(w.text, w.fields)
	return Request{data: string(w.encode(r))}
}

// Release frees the lines that r refers to; a line without references leaves the table.
// After that only the methods of r itself may be used:
// [Store.Unpack] and [Store.AppendJSON] would panic, or find lines of other
// requests. So would a second Release: it panics, or takes what others use.
func (s *Store) Release(r Request) {
	w := s.scratch.Get().(*scratch)
	defer s.recycle(w)
	w.ids = w.ids[:0]
	for rest := r.parts().fields; rest != ""; {
		var f packedField
		f, rest = nextField(rest)
		if f.tag >= firstRef {
			w.ids = append(w.ids, f.tag-firstRef)
		}
	}
	s.table.release(w.ids)
}

// recycle keeps w for another request, unless a large request has made it large.
func (s *Store) recycle(w *scratch) {
	if cap(w.text) <= 16<<10 && cap(w.out) <= 16<<10 && cap(w.fields) <= 256 && cap(w.ids) <= 256 {
		s.scratch.Put(w)
	}
}

// Stats is what a [Store] holds.
type Stats struct {
	Lines   int    // header lines in the table
	Bytes   int    // of text in them
	Refused uint64 // how often a line was to be shared, and the table was full
}

// Stats counts what the table holds now and has refused since the start.
func (s *Store) Stats() Stats { return s.table.stats() }
