package admission_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway/admission"
)

// TestStormDelaysNoOtherAddress: a client from another address starts next.
func TestStormDelaysNoOtherAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := admission.NewTestLimiter(false)
		l.Delivered.Store(1)
		l.Runnable.Store(1) // each start takes as long as one may
		var all sync.WaitGroup
		for range 300 {
			all.Go(func() {
				if err := l.Acquire(t.Context(), admission.Address("192.0.2.1:1")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for i := range 3 {
			begin := time.Now()
			if err := l.Acquire(t.Context(), admission.Address(fmt.Sprintf("192.0.2.%d:1", i+2))); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 3*admission.MaxInterval { // one starts, one of the storm is next
				t.Errorf("a client from another address waits for %v", took)
			}
		}
		all.Wait()
	})
}

// TestSlotIsNeitherLostNorDoubled: clients of several addresses come and go, some of
// them at the very moment at which they are granted a slot.
func TestSlotIsNeitherLostNorDoubled(t *testing.T) {
	t.Parallel()
	const size, clients = 3, 2000
	slots := admission.NewSlots(size)
	var inside, had atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(3*time.Millisecond))
			defer cancel()
			late := time.After(rand.N(5 * time.Millisecond))
			if i%4 == 0 {
				ctx, late = t.Context(), nil // this one stays
			}
			if err := slots.Acquire(ctx, admission.Address(fmt.Sprintf("192.0.2.%d:1", i%7)), late); err != nil {
				return
			}
			had.Add(1)
			if n := inside.Add(1); n > size {
				t.Errorf("%d have one of %d slots", n, size)
			}
			time.Sleep(rand.N(50 * time.Microsecond))
			inside.Add(-1)
			slots.Release()
		})
	}
	all.Wait()
	if inUse, waiting := slots.InUse(), slots.Waiting(); inUse != 0 || waiting != 0 || had.Load() < clients/4 {
		t.Errorf("%d slots are in use and %d addresses wait when all are gone; %d had one", inUse, waiting, had.Load())
	}
}
