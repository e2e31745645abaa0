package sessions

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func numberedKey(i int) recordKey { return recordKey{node: "n", hash: [16]byte{byte(i), byte(i >> 8)}} }

func TestQueueTriesLittleWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		var all []<-chan struct{}
		for i := range 100 {
			done, _ := q.put(numberedKey(i), []byte("record"))
			all = append(all, done)
		}
		ctx, cancel := context.WithCancel(t.Context())
		due := make(chan *change)
		back := time.Now().Add(time.Minute)
		var mu sync.Mutex
		var tries int
		var work sync.WaitGroup
		work.Go(func() { q.dispatch(ctx, due) })
		for range 32 {
			work.Go(func() {
				for c := range due {
					time.Sleep(time.Millisecond)
					away := time.Now().Before(back)
					if away {
						mu.Lock()
						tries++
						mu.Unlock()
					}
					q.resolve(c, away, false)
				}
			})
		}
		for _, done := range all {
			<-done
		}
		if late := time.Since(back); late > maxPause+time.Second {
			t.Errorf("all was done %v after the engine was back", late)
		}
		// 32 at first, then a probe or two each pause of a quarter or half a second.
		if tries < 40 || tries > 32+probes*260 {
			t.Errorf("tried %d times in a minute of outage", tries)
		}
		cancel()
		work.Wait()
	})
}

func TestQueueEndsItsPauseOnNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		q.put(numberedKey(1), []byte("record"))
		c, _ := q.next()
		q.resolve(c, true, false)
		if _, wait := q.next(); wait <= 0 {
			t.Fatal("there is no pause after a failure")
		}
		q.resume()
		if c, _ := q.next(); c == nil {
			t.Error("there still is a pause")
		}
	})
}

func TestQueueDoesNotKeepWhatIsCancelled(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	q.put(numberedKey(60_000), []byte("stays")) // nobody takes it
	for i := range 50_000 {
		if _, ok := q.put(numberedKey(i), []byte("record")); !ok {
			t.Fatalf("no room for number %d", i)
		}
		q.delete(numberedKey(i), 0)
	}
	if len(q.putLine.changes) > 2_000 || len(q.changes) != 1 || q.deletes != 0 {
		t.Errorf("%d in line, %d changes and %d deletes for one record", len(q.putLine.changes), len(q.changes), q.deletes)
	}
	if c, _ := q.next(); c == nil || string(c.record) != "stays" {
		t.Errorf("next = %v, want the record that was not deleted", c)
	}
}

func TestQueueKnowsAnOutcomeBeforeItDeletes(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	written, _ := q.put(numberedKey(1), []byte("record"))
	c, _ := q.next()
	q.delete(numberedKey(1), 10) // while it is being written
	q.resolve(c, true, false)    // nobody knows whether it was
	q.resume()
	if c, _ = q.next(); c == nil || c.record == nil {
		t.Fatalf("next = %+v, want the record again", c)
	}
	q.resolve(c, false, false)
	<-written
	empty := q.hurry()
	if c, _ = q.next(); c == nil || c.record != nil {
		t.Fatalf("next = %+v, want the delete", c)
	}
	q.resolve(c, false, false)
	<-empty
	// What was refused need not be deleted.
	q.put(numberedKey(2), []byte("record"))
	c, _ = q.next()
	q.delete(numberedKey(2), 10)
	q.resolve(c, false, true)
	if c, _ := q.next(); c != nil {
		t.Errorf("next = %+v, want nothing", c)
	}
}

func TestQueueBlocksNoDeleteForPuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		for i := range 200 {
			q.put(numberedKey(i), []byte("record"))
		}
		for range 10 { // none can be made
			if c, wait := q.next(); c == nil {
				time.Sleep(wait)
			} else {
				q.resolve(c, true, false)
			}
		}
		begun := time.Now()
		for i := range 100 {
			q.delete(numberedKey(1000+i), 1000)
		}
		for _, deletes := q.waiting(); deletes > 0; _, deletes = q.waiting() {
			c, wait := q.next()
			if c == nil {
				t.Fatalf("%d deletes have to wait for %v", deletes, wait)
			}
			q.resolve(c, c.record != nil, false)
		}
		if enters, _ := q.waiting(); enters != 200 || !time.Now().Equal(begun) {
			t.Errorf("%d enters are waiting after %v, want 200 at once", enters, time.Since(begun))
		}
	})
}

func TestQueueBlocksNoPutForDeletes(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	for i := range 10 {
		q.delete(numberedKey(i), 1000)
	}
	c, _ := q.next()
	q.resolve(c, true, false) // cannot be made
	q.put(numberedKey(1000), []byte("record"))
	if c, wait := q.next(); c == nil || c.record == nil {
		t.Errorf("next = %+v and a pause of %v, want the record", c, wait)
	}
}

func TestQueueAlternatesPutsAndDeletes(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	for i := range 10 {
		q.put(numberedKey(i), []byte("record"))
	}
	for i := range 10 {
		q.delete(numberedKey(100+i), 1000)
	}
	for i := range 20 {
		if c, _ := q.next(); c == nil || (c.record == nil) != (i%2 == 0) {
			t.Fatalf("number %d is %+v, want a delete first, and every other one", i, c)
		}
	}
}

func TestQueueDeletesWhatMayHaveBeenWrittenBeforeItWasRefused(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	q.put(numberedKey(1), []byte("record"))
	c, _ := q.next()
	q.resolve(c, true, false) // nobody knows whether it was written
	q.resume()
	c, _ = q.next()
	q.delete(numberedKey(1), 10)
	q.resolve(c, false, true)
	if c, _ := q.next(); c == nil || c.record != nil {
		t.Errorf("next = %+v, want the delete", c)
	}
}
