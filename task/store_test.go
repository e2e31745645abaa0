package task_test

import (
	"testing"
	"time"

	"tidegate/task"
	"tidegate/task/storetest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Suite{Open: func(t testing.TB, b storetest.Bounds) task.Store {
		store, err := task.NewMemory(task.Options{QueueLimit: b.MaxPending, Retention: b.Retention, CleanupInterval: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}})
}
