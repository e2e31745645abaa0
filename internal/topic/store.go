package topic

import (
	"context"
	"time"
)

// Store keeps events beyond the process, in one order for all nodes that share
// it. Its methods may be called concurrently. Errors that hold a *wire.Error reach
// the caller as they are; any other one means that the store is away, and that it
// is unknown whether the event was taken.
type Store interface {
	// Append stores an event. It returns when the event is as durable as was
	// configured, this hub has been given it by [Hub.Apply], and the other
	// nodes have told their streams at the topic, or had time for it. An error
	// of Apply (ErrClosed) is returned as it is. A repeat of a key with other
	// content returns ErrMismatch, as long as the first is there to be compared.
	Append(ctx context.Context, e Entry) (Appended, error)

	// Read gives the stored events of a topic whose positions are in
	// [from, before), oldest first. An error of yield ends it and is returned.
	// An end before all were given is an error.
	Read(ctx context.Context, topic string, from, before uint64, yield func(Stored) error) error

	// Last gives the newest stored event of a topic; ok is false if there is none.
	Last(ctx context.Context, topic string) (e Stored, ok bool, err error)

	// Find gives the newest event of e.Topic in [from, before) that Append has
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

	// Purge drops the events of a topic whose positions are below before.
	Purge(ctx context.Context, topic string, before uint64) error
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
	// Born is the position up to which the topic was deleted, 0 if it never was,
	// as the publishing hub knows it.
	Born uint64

	// Key makes a repeat within KeyLife return what the first got; "" for none.
	Key string
	// Age is after what time the event is dropped; 0 for never.
	Age time.Duration
}

// SameContent says whether two entries tell streams the same, which is what a
// repeat of a key must do.
func (e *Entry) SameContent(other *Entry) bool {
	return e.HasEvent == other.HasEvent && e.Close == other.Close && e.Name == other.Name && e.Data == other.Data
}

// Appended answers Append.
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
}

// Applied says what became of an event that was given to [Hub.Apply].
type Applied struct {
	Receivers int
	Err       error // ErrClosed: it came after the topic's end, and does not count
}
