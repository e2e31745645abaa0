package topic

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"

	"tidegate/internal/wire"
)

// Store keeps events beyond the process, in one order for all nodes that share
// it. Its methods may be called concurrently. Errors that hold a *wire.Error reach
// the caller as they are; any other one means that the store is away, and that it
// is unknown whether the event was taken.
type Store interface {
	// AppendAll stores events and answers each: the result at i is that of the
	// entry at i. It may be called concurrently, also for the same topic. The
	// entries and their texts must stay as they are, also when it has returned:
	// where ctx has ended, the store may still be at them.
	//
	// Those of one topic are stored in the order given; between topics, and
	// between calls that are under way at the same time, there is no order. A call
	// that begins after another has returned stores behind it.
	//
	// It returns when each event is as durable as was configured, this hub has
	// been given it by [Follower.Apply], and the other nodes have told their
	// streams at the topic, or had time for it; or has failed. It tries until ctx
	// ends, within a bound of the store's own. What it takes at once is bounded:
	// what finds no room waits, and then fails with a *wire.Error that says so.
	//
	// The hub counts Number on within a call, and leaves Prev of all entries of a
	// topic at what was there before the call. The store puts in the predecessor of
	// the second and later ones, and corrects Number if one before was a repeat or
	// was not stored; see [Turn]. No entry comes behind one of its topic that has
	// Delete or Close.
	//
	// An error of Apply (ErrClosed) is returned as it is. A repeat of a key with
	// other content is ErrMismatch, as long as the first is there to be compared.
	// If an entry fails with an error that may pass ([Passing]), those of its
	// topic behind it fail with the same and are not stored: the caller sends them
	// again, in their order.
	AppendAll(ctx context.Context, entries []Entry) []Result

	// Read gives the stored events of a topic whose positions are in
	// [from, before), oldest first. An error of yield ends it and is returned.
	// An end before all were given is an error.
	Read(ctx context.Context, topic string, from, before uint64, yield func(Stored) error) error

	// Last gives the newest stored event of a topic; ok is false if there is none.
	Last(ctx context.Context, topic string) (e Stored, ok bool, err error)

	// Find gives the newest event of e.Topic in [from, before) that AppendAll has
	// stored with e.Key, as it would answer its repeat, ErrMismatch included; ok is
	// false if there is none.
	Find(ctx context.Context, e Entry, from, before uint64) (a Appended, ok bool, err error)

	// Time tells when the event at a position was stored, in unix nanoseconds.
	// If there is none any more it tells of the next one that there is, and exact
	// is false; after the last one at is 0.
	Time(ctx context.Context, seq uint64) (at int64, exact bool, err error)

	// Trim asks for all but the newest keep events of a topic to be dropped,
	// some time soon. It does not wait.
	Trim(topic string, keep int)

	// Discarded is the position below which events may have been dropped for want
	// of room, before their time; 0 if none were.
	Discarded() uint64

	// Lost is a position up to which events of a topic may be missing although
	// nothing dropped them on purpose: what they were stored in is damaged. 0 if
	// there are none. It counts if it is behind the newest event that there is: a
	// client that has seen less gets a reset. What is missing before that one is told
	// by the predecessors of those behind it. It does not wait.
	Lost(topic string) uint64

	// Purge drops the events of a topic whose positions are below before.
	Purge(ctx context.Context, topic string, before uint64) error
}

// Catalog is a Store that knows its topics by name, at the cost of memory. With one,
// listings show every topic that is stored; without, those that this hub holds. Its
// methods may be called concurrently and wait for no I/O.
type Catalog interface {
	// Names gives the name of each topic that has events, in no order. A topic that
	// comes or goes meanwhile may be left out, or come twice.
	Names(yield func(topic string))
	// Held is how many events of a topic are stored, 0 for one that is unknown. Some may
	// be about to expire; what marks that the topic was deleted counts as one.
	Held(topic string) int
}

// Entry is an event on its way into a Store.
type Entry struct {
	Topic    string
	Name     string
	Data     string
	HasEvent bool
	Close    bool // no event comes after it
	Delete   bool // the topic begins anew behind it

	// Number counts the events of the topic, from 1; Prev is the position of
	// the one before, 0 for none. They are what the publishing hub knows. If
	// the store cannot make sure that Prev is right, it stores that it is not
	// known; then there was one at Prev, and there may be others behind it.
	Number, Prev uint64
	// DeletedTo is the position up to which the topic was deleted, 0 if it never was,
	// as the publishing hub knows it.
	DeletedTo uint64

	// Key makes a repeat within KeyLife return what the first got; "" for none.
	Key string
	// Age is after what time the event is dropped; 0 for never.
	Age time.Duration
}

// KeyID is what an entry's key is called in a store: the same for the same key at
// the same topic, and for nothing else.
func KeyID(e Entry) [16]byte {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(e.Topic)) + ":" + e.Topic + e.Key))
	return [16]byte(sum[:16])
}

// Retryable reports whether an error may pass: the event was not taken for a reason
// that may go away, or nobody knows whether it was taken. It may be sent again, and
// what comes behind it must not be taken before.
func Retryable(err error) bool {
	return err != nil && wire.ErrorOf(err).Status >= http.StatusInternalServerError
}

// SameContent says whether two entries tell streams the same, which is what a
// repeat of a key must do.
func (e *Entry) SameContent(other *Entry) bool {
	return e.HasEvent == other.HasEvent && e.Close == other.Close && e.Name == other.Name && e.Data == other.Data
}

// Result answers one entry of AppendAll.
type Result struct {
	Appended
	Err error // nothing else counts then
}

// Appended says where an event is stored, and who received it.
type Appended struct {
	Seq       uint64
	At        int64 // unix nanoseconds; 0 for a repeat whose first is not in the store any more
	Receivers int   // streams that got it, on all nodes
	Repeat    bool  // the key was used before: Seq and At are of the first, Receivers counts nothing
}

// Stored is an event as a Store gives it.
type Stored struct {
	Entry
	Seq       uint64
	At        int64 // unix nanoseconds
	PrevKnown bool
	// Unreadable says that something is at the position that is no event any more,
	// or of a later version: only Topic, Seq and At count. It is a hole in the topic.
	Unreadable bool
}

// Applied says what became of an event that was given to [Hub.Apply].
type Applied struct {
	Receivers int
	Err       error // ErrClosed: it came after the topic's end, and does not count
}
