package topic

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"

	"tidegate/internal/wire"
)

// Store keeps events beyond the process, in one order for all nodes that share it. Its
// methods may be called concurrently. Errors that wrap a *wire.Error are returned to the
// caller unchanged. Any other error means that the store is not available, and that the
// event may have been stored or not.
type Store interface {
	// AppendAll stores events: the result at i is that of the entry at i. It may be
	// called concurrently, also for the same topic. The caller must not change the
	// entries, even after AppendAll has returned: if ctx has ended, the store may still
	// use them.
	//
	// Entries of one topic are stored in the given order. There is no order between
	// topics, nor between concurrent calls. A call that starts after another has
	// returned stores after it.
	//
	// It returns when each event has failed; or is as durable as configured, was applied
	// to this hub by [Follower.Apply], and the other nodes have reported their receivers
	// or had time to. It tries until ctx ends, within a bound of the store's own. The
	// bytes in progress are bounded: entries without room wait, and then fail with a
	// *wire.Error that says so.
	//
	// The hub increments Number within a call, and sets Prev of all entries of a topic to
	// the position before the call. The store sets the predecessor of the second and
	// later ones, and corrects Number if an earlier entry was a repeat or was not stored,
	// see [Sequence]. No entry follows one of its topic with Delete or Close.
	//
	// An error of Apply (ErrClosed) is returned unchanged. A repeat of a key with other
	// content is ErrMismatch, as long as the store has the first one. If an entry fails
	// with an error that is [Retryable], later ones of its topic fail with the same error
	// and are not stored: the caller sends them again, in order.
	AppendAll(ctx context.Context, entries []Entry) []Result

	// Read calls yield with the stored events of a topic whose positions are in
	// [from, before), oldest first. An error of yield ends it and is returned. If not
	// all events were read, it returns an error.
	Read(ctx context.Context, topic string, from, before uint64, yield func(Stored) error) error

	// Last returns the newest stored event of a topic; ok is false if there is none.
	Last(ctx context.Context, topic string) (e Stored, ok bool, err error)

	// Find returns the newest event of e.Topic in [from, before) that AppendAll has
	// stored with e.Key, as AppendAll would answer a repeat, including ErrMismatch; ok is
	// false if there is none.
	Find(ctx context.Context, e Entry, from, before uint64) (a Appended, ok bool, err error)

	// Time returns when the event at a position was stored, in unix nanoseconds. If the
	// store does not have it any more, it returns the time of the next event, and exact is
	// false. After the last event, at is 0.
	Time(ctx context.Context, seq uint64) (at int64, exact bool, err error)

	// Trim requests that all but the newest keep events of a topic are dropped soon. It
	// does not wait.
	Trim(topic string, keep int)

	// Discarded is the position below which events may have been dropped for want
	// of room, before their time; 0 if none were.
	Discarded() uint64

	// Lost is a position up to which events of a topic may be missing because of damage;
	// 0 if none are. It matters if it is after the newest event of the topic: a client
	// that resumes from before it receives a reset. Missing events before that one are
	// recognized by the predecessor that the next event names. It does not wait.
	Lost(topic string) uint64

	// Purge drops the events of a topic whose positions are below before.
	Purge(ctx context.Context, topic string, before uint64) error
}

// Catalog is a Store that has a list of its topics in memory. With one, listings show every
// stored topic; without, those that this hub holds. Its methods may be called concurrently,
// and do no I/O.
type Catalog interface {
	// Names calls yield with the name of each topic that has events, in no order. A topic
	// that is created or deleted meanwhile may be left out, or be named twice.
	Names(yield func(topic string))
	// Held is how many events of a topic are stored; 0 for an unknown topic. Some may be
	// about to expire; the record of a deletion counts as one.
	Held(topic string) int
}

// Entry is an event on its way into a Store.
type Entry struct {
	Topic    string
	Name     string
	Data     string
	HasEvent bool
	Close    bool // no event comes after it
	Delete   bool // the topic starts again after it

	// Number counts the events of the topic, from 1; Prev is the position of the
	// previous one, 0 for none. They are what the publishing hub knows. If the store
	// cannot verify Prev, it stores that the predecessor is not known; then there was an
	// event at Prev, and there may be others after it.
	Number, Prev uint64
	// DeletedTo is the position up to which the topic was deleted, 0 if it never was,
	// as the publishing hub knows it.
	DeletedTo uint64

	// Key is the idempotency key: a repeat within KeyLife returns the first result; "" for
	// none.
	Key string
	// Age is the time after which the event is dropped; 0 for never.
	Age time.Duration
}

// KeyID identifies an entry's key in a store: equal for the same key at the same topic, and
// for nothing else.
func KeyID(e Entry) [16]byte {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(e.Topic)) + ":" + e.Topic + e.Key))
	return [16]byte(sum[:16])
}

// Retryable reports whether a publication may be sent again after an error: it was not
// stored for a reason that may go away, or it may have been stored or not. Later ones of
// its topic must not be stored before it.
func Retryable(err error) bool {
	return err != nil && wire.ErrorOf(err).Status >= http.StatusInternalServerError
}

// SameContent reports whether two entries are the same for streams, as repeats of a key must
// be.
func (e *Entry) SameContent(other *Entry) bool {
	return e.HasEvent == other.HasEvent && e.Close == other.Close && e.Name == other.Name && e.Data == other.Data
}

// Result answers one entry of AppendAll.
type Result struct {
	Appended
	Err error // if not nil, the rest is invalid
}

// Appended is where an event is stored, and how many streams received it.
type Appended struct {
	Seq       uint64
	At        int64 // unix nanoseconds; 0 for a repeat whose first event is gone
	Receivers int   // streams that received it, on all nodes
	Repeat    bool  // the key was used before: Seq and At are of the first event, Receivers is 0
}

// Stored is an event as a Store returns it.
type Stored struct {
	Entry
	Seq       uint64
	At        int64 // unix nanoseconds
	PrevKnown bool
	// Unreadable reports that the position has a damaged event, or one of a later
	// version: only Topic, Seq and At are valid. It is a hole in the topic.
	Unreadable bool
}

// Applied is the result of one event of [Hub.Apply].
type Applied struct {
	Receivers int
	Err       error // ErrClosed: it is after the topic's end, and was ignored
}
