package sessions

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func numberedKey(i int) recordKey { return recordKey{node: "n", hash: [16]byte{byte(i), byte(i >> 8)}} }

func TestLedgerQueueTriesLittleWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		var all []<-chan struct{}
		for i := range 100 {
			done, _ := q.enter(numberedKey(i), []byte("record"))
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
					q.settle(c, away, false)
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

func TestLedgerQueueEndsItsPauseOnNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10)
		q.enter(numberedKey(1), []byte("record"))
		c, _ := q.next()
		q.settle(c, true, false)
		if _, wait := q.next(); wait <= 0 {
			t.Fatal("there is no pause after a failure")
		}
		q.resume()
		if c, _ := q.next(); c == nil {
			t.Error("there still is a pause")
		}
	})
}

func TestLedgerQueueDoesNotKeepWhatIsCancelled(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	q.enter(numberedKey(60_000), []byte("stays")) // nobody takes it
	for i := range 50_000 {
		if _, ok := q.enter(numberedKey(i), []byte("record")); !ok {
			t.Fatalf("no room for number %d", i)
		}
		q.strike(numberedKey(i), 0)
	}
	if len(q.entering.changes) > 2_000 || len(q.changes) != 1 || q.strikes != 0 {
		t.Errorf("%d in line, %d changes and %d strikes for one record", len(q.entering.changes), len(q.changes), q.strikes)
	}
	if c, _ := q.next(); c == nil || string(c.record) != "stays" {
		t.Errorf("next = %v, want the record that was not struck", c)
	}
}

func TestLedgerQueueKnowsAnOutcomeBeforeItStrikes(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	entered, _ := q.enter(numberedKey(1), []byte("record"))
	c, _ := q.next()
	q.strike(numberedKey(1), 10) // while it is being written
	q.settle(c, true, false)     // nobody knows whether it was
	q.resume()
	if c, _ = q.next(); c == nil || c.record == nil {
		t.Fatalf("next = %+v, want the record again", c)
	}
	q.settle(c, false, false)
	<-entered
	empty := q.hurry()
	if c, _ = q.next(); c == nil || c.record != nil {
		t.Fatalf("next = %+v, want the strike", c)
	}
	q.settle(c, false, false)
	<-empty
	// What was refused need not be struck.
	q.enter(numberedKey(2), []byte("record"))
	c, _ = q.next()
	q.strike(numberedKey(2), 10)
	q.settle(c, false, true)
	if c, _ := q.next(); c != nil {
		t.Errorf("next = %+v, want nothing", c)
	}
}

func TestLedgerQueueHoldsNoStrikeUpForEnters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1000)
		for i := range 200 {
			q.enter(numberedKey(i), []byte("record"))
		}
		for range 10 { // none can be made
			if c, wait := q.next(); c == nil {
				time.Sleep(wait)
			} else {
				q.settle(c, true, false)
			}
		}
		begun := time.Now()
		for i := range 100 {
			q.strike(numberedKey(1000+i), 1000)
		}
		for _, strikes := q.waiting(); strikes > 0; _, strikes = q.waiting() {
			c, wait := q.next()
			if c == nil {
				t.Fatalf("%d strikes have to wait for %v", strikes, wait)
			}
			q.settle(c, c.record != nil, false)
		}
		if enters, _ := q.waiting(); enters != 200 || !time.Now().Equal(begun) {
			t.Errorf("%d enters are waiting after %v, want 200 at once", enters, time.Since(begun))
		}
	})
}

func TestLedgerQueueHoldsNoEnterUpForStrikes(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	for i := range 10 {
		q.strike(numberedKey(i), 1000)
	}
	c, _ := q.next()
	q.settle(c, true, false) // cannot be made
	q.enter(numberedKey(1000), []byte("record"))
	if c, wait := q.next(); c == nil || c.record == nil {
		t.Errorf("next = %+v and a pause of %v, want the record", c, wait)
	}
}

func TestLedgerQueueHasEntersAndStrikesTakeTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(1000)
	for i := range 10 {
		q.enter(numberedKey(i), []byte("record"))
	}
	for i := range 10 {
		q.strike(numberedKey(100+i), 1000)
	}
	for i := range 20 {
		if c, _ := q.next(); c == nil || (c.record == nil) != (i%2 == 0) {
			t.Fatalf("number %d is %+v, want a strike first, and every other one", i, c)
		}
	}
}

func TestLedgerQueueStrikesWhatMayHaveBeenWrittenBeforeItWasRefused(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	q.enter(numberedKey(1), []byte("record"))
	c, _ := q.next()
	q.settle(c, true, false) // nobody knows whether it was written
	q.resume()
	c, _ = q.next()
	q.strike(numberedKey(1), 10)
	q.settle(c, false, true)
	if c, _ := q.next(); c == nil || c.record != nil {
		t.Errorf("next = %+v, want the strike", c)
	}
}
