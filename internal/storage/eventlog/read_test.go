package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// readAll reads all of a range.
func readAll(l *Log, name string, from, before uint64) (got []topic.Stored, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
	defer cancel()
	err = l.Read(ctx, name, from, before, func(e topic.Stored) error {
		got = append(got, e)
		return nil
	})
	return got, err
}

func TestReadGivesWhatWasAppended(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	fillTopics(t, n, 600)
	checkReads(t, n)
	if got := n.Stats().Reads; got < 10 {
		t.Errorf("%d reads are counted", got)
	}
}

// fillTopics appends to two topics in turn: small events, and some that are large.
func fillTopics(t *testing.T, n *logNode, count int) {
	t.Helper()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b/ä"} {
		wg.Go(func() {
			for i := range count {
				data := fmt.Sprint(i)
				if i%20 == 0 {
					data = strings.Repeat("x", 200<<10)
				}
				if _, err := n.append(t.Context(), name, data); err != nil {
					t.Errorf("Append = %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// checkReads compares what is read with what the tail has applied.
func checkReads(t *testing.T, n *logNode) {
	t.Helper()
	for _, name := range []string{"a", "b/ä", "none"} {
		all := slices.DeleteFunc(n.hub.all(), func(e topic.Stored) bool { return e.Topic != name })
		for _, r := range [][2]uint64{{0, 1 << 63}, {1, 1201}, {100, 900}, {5, 6}, {7, 7}, {9, 2}, {1201, 1 << 40}, {300, 302}} {
			want := slices.DeleteFunc(slices.Clone(all), func(e topic.Stored) bool { return e.Seq < r[0] || e.Seq >= r[1] })
			got, err := readAll(n.Log, name, r[0], r[1])
			if err != nil {
				t.Errorf("Read(%s, %v) = %v", name, r, err)
			}
			if len(want) == 0 {
				want = nil
			}
			if !cmp.Equal(got, want, cmp.Comparer(sameStored)) {
				t.Errorf("Read(%s, %v) gives %d events, want %d", name, r, len(got), len(want))
			}
		}
	}
}

func sameStored(a, b topic.Stored) bool { return a == b }

func TestReadReturnsTheErrorOfItsCaller(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	enough := errors.New("enough")
	if err := n.Read(t.Context(), "a", 1, 9, func(topic.Stored) error { return enough }); err != enough {
		t.Errorf("Read = %v", err)
	}
}

func TestFourReadsAtOnce(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	under := make(chan struct{})
	finish := make(chan struct{})
	var wg sync.WaitGroup
	for range maxReads() {
		wg.Go(func() {
			_ = n.Read(t.Context(), "a", 1, 9, func(topic.Stored) error {
				under <- struct{}{}
				<-finish
				return nil
			})
		})
	}
	for range maxReads() {
		<-under
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := n.Read(ctx, "a", 1, 9, func(topic.Stored) error { t.Error("a fifth read"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the fifth Read = %v", err)
	}
	close(finish)
	wg.Wait()
	if got, err := readAll(n.Log, "a", 1, 9); err != nil || len(got) != 1 {
		t.Errorf("Read afterwards = %v, %v", got, err)
	}
}

// The connection ends between two batches.
func TestReadThatIsCutIsAnError(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	for i := range readBatch + 1 {
		n.mustAppend(t, "a", fmt.Sprint(i))
	}
	n.stop()
	count := 0
	err := n.Read(t.Context(), "a", 1, 1<<40, func(topic.Stored) error {
		if count++; count == readBatch {
			n.e.Conn().Close()
		}
		return nil
	})
	if err == nil || count != readBatch {
		t.Errorf("Read = %v after %d events", err, count)
	}
}
