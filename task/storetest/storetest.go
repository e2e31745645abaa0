// Package storetest tests a [task.Store]. Whoever writes one runs the suite from a
// test of their own:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Suite{
//			Open: func(t testing.TB, b storetest.Bounds) task.Store {
//				store := mystore.Open(t.TempDir(), b.MaxPending)
//				t.Cleanup(store.Close)
//				return store
//			},
//			Join: func(t testing.TB, store task.Store) task.Store {
//				return mystore.Connect(store.(*mystore.Store))
//			},
//		})
//	}
//
// Run it with -race. The first part calls the store itself and compares what it does
// with the documentation of [task.Store]; the second runs tasks of a [task.Service] on
// it. The third is for stores that are durable: two services share their tasks, and
// one of them stops. A store whose leases last ten seconds makes it wait that long.
//
// The suite does not test what becomes of a store when its process dies, or its disk
// is full: that needs to know the store.
package storetest

import (
	"testing"
	"time"

	"tidegate/task"
)

// Suite makes the stores under test.
type Suite struct {
	// Open returns a store without tasks that is within the bounds. It is called
	// once for each test, concurrently; what must end with the test is registered
	// with t.Cleanup. The suite calls [task.Store.Run] itself, once for each store.
	Open func(t testing.TB, b Bounds) task.Store

	// Join returns another store with the same tasks as the one that Open returned,
	// as another process would open it. Nil if the store is not durable.
	Join func(t testing.TB, store task.Store) task.Store
}

// Bounds are what a test wants of a store. What the store does not know it ignores.
type Bounds struct {
	MaxPending int           // pending tasks, beyond which Submit is ErrBusy; 0 is any number above 1000
	LeaseTTL   time.Duration // how long a lease lasts at most if the store can choose; 0 is any time
	Retention  time.Duration // of tasks that are over, for stores that do not go by their records; 0 is any time above an hour
}

// patience bounds what a test waits for. It is for stores that never do it: all else
// takes as long as it takes.
const patience = 2 * time.Minute

// Run runs the suite, each test in parallel with the others.
func Run(t *testing.T, s Suite) {
	t.Helper()
	groups := []struct {
		name  string
		tests map[string]func(*testing.T, Suite)
	}{{"store", storeTests}, {"queue", queueTests}, {"service", serviceTests}, {"shared", sharedTests}}
	for _, group := range groups {
		if group.name == "shared" && s.Join == nil {
			if s.Open(t, Bounds{}).Durable() {
				t.Error("the store is durable, and the suite has no Join to test that")
			}
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, s)
				})
			}
		})
	}
}
