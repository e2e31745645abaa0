package taskstore

import (
	"testing"

	"tidegate/task"
	"tidegate/task/storetest"
)

// TestSuite runs the suite for any store of tasks.
func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Suite{
		Open: func(t testing.TB, b storetest.Bounds) task.Store {
			return newTasks(t, openEngine(t, t.TempDir()), Options{MaxPending: b.MaxPending, AckWait: b.LeaseTTL})
		},
		Join: func(t testing.TB, store task.Store) task.Store {
			first := store.(*Store)
			return newTasks(t, anotherTo(t, first.e), first.opts)
		},
	})
}
