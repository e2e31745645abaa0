// Package storetest checks that an event log keeps the promises of [topic.Store].
//
// Call [Run] from a test of the log, with a [Config] that makes one:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Config{New: func(t testing.TB) storetest.Place {
//			dir := t.TempDir()
//			return storetest.Place{Open: func(t testing.TB) storetest.Instance {
//				log, err := mylog.Open(dir)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return storetest.Instance{Store: log, Close: log.Close}
//			}}
//		}})
//	}
//
// What not every log can do is optional: cases that need it are skipped without it.
// [Model] runs random histories against the same Config.
package storetest

import (
	"context"
	"testing"

	"tidegate/internal/topic"
)

// Store is an event log that feeds a hub.
type Store interface {
	topic.Store

	// Run feeds the hub with the log's events, and does the log's other work,
	// until ctx ends; then it returns nil. It is called once.
	Run(ctx context.Context, hub topic.Follower) error

	// Caught waits until the hub was given all events that were in the log when
	// Run began, or ctx ends, which is an error.
	Caught(ctx context.Context) error
}

// Config says how to make a log, and what it can do.
type Config struct {
	// New makes the place of an empty log. It lasts until the test ends.
	New func(t testing.TB) Place

	// MaxEvent is the most bytes of data that an event may have: one byte less
	// is stored, twice as many are refused. 0: the log has no bound.
	MaxEvent int
	// MaxBytes is how many bytes of events the log keeps. A log that is given
	// much more drops its oldest events. 0: there is no bound, or it is large.
	MaxBytes int64
	// Bubble says that the log can run in a bubble of testing/synctest: it has
	// no network, and takes its time from package time.
	Bubble bool
	// LateRefusals says that an event that the hub refused may still be read
	// until the log is opened again.
	LateRefusals bool
	// Histories is how many [Model] runs. Default: 24.
	Histories int
	// KeysGo says that the key of an event that was dropped may be dropped
	// before its time, when the log is opened again.
	KeysGo bool
	// CallerApplies says that a caller of AppendAll writes, and feeds the hub, for
	// others too: while the hub takes nothing that one does not return.
	CallerApplies bool
	// TrimsShow says that a read beside a trim may give events on both sides of
	// those that are being dropped.
	TrimsShow bool
	// Seconds says that ages are rounded up to whole seconds.
	Seconds bool
}

// Place is where the events of one log are, whether it is open or not.
type Place struct {
	// Open opens the log, as a process does when it starts. It is called again
	// after the last instance was closed or killed.
	Open func(t testing.TB) Instance

	// Shared says that several instances may be open at once, as on the nodes
	// of a cluster.
	Shared bool

	// Save and Restore keep a copy of all that is stored, and take the log back
	// to it, while it is not open. Both or none are nil.
	Save, Restore func(t testing.TB)
}

// Instance is a log that is open.
type Instance struct {
	Store Store
	// Close ends the log. Run has returned before.
	Close func() error
	// Kill ends the log as kill -9 does: what it was doing is cut off. Run still
	// runs. What it takes to free resources is done in Close, which comes later,
	// and must not write any more. nil: not supported.
	Kill func()
	// FailWrites makes all writes fail, or none any more. nil: not supported.
	FailWrites func(fail bool)
}

// Run runs the whole suite.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"Order", orderCases}, {"Batch", batchCases}, {"Predecessor", predecessorCases},
		{"Key", keyCases}, {"Close", closeCases}, {"Delete", deleteCases}, {"Drop", dropCases},
		{"Read", readCases}, {"Size", sizeCases}, {"Lifetime", lifetimeCases},
		{"Failure", failureCases}, {"Shared", sharedCases}, {"Concurrency", concurrencyCases},
		{"Bubble", bubbleCases}, {"Catalog", catalogCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range group.cases {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					tc.run(t, c)
				})
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, c Config)
}
