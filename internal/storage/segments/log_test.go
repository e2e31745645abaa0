package segments

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"tidegate/internal/topic"
)

func TestWhatIsAppendedIsThereAfterAStart(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.add(entry("a", "1"), entry("b", "2"), entry("a", "3"))
	r.add(topic.Entry{Topic: "a", Close: true})
	if res := r.log.AppendAll(t.Context(), []topic.Entry{entry("a", "late"), entry("b", "5")}); !errors.Is(res[0].Err, topic.ErrClosed) || res[1].Err != nil {
		t.Errorf("behind the end: %v, beside it %v", res[0].Err, res[1].Err)
	}
	check := func() {
		t.Helper()
		if got, want := r.texts("a"), "1<0:1 3<1:3 4<3: "; got != want {
			t.Errorf("a: %q, want %q", got, want)
		}
		if got, want := r.texts("b"), "2<0:2 5<2:5 "; got != want {
			t.Errorf("b: %q, want %q", got, want)
		}
		if e, ok, err := r.log.Last(t.Context(), "a"); !ok || err != nil || !e.Close || e.Seq != 4 {
			t.Errorf("last of a: %+v %v %v", e, ok, err)
		}
	}
	check()
	generation := r.log.Generation()
	r.reopen()
	check()
	if r.log.Generation() != generation {
		t.Error("a clean stop has changed the generation")
	}
	if seq := r.add(entry("c", "6"))[0]; seq != 6 {
		t.Errorf("the next position is %d, want 6", seq)
	}
}

func TestSegmentsAreRewrittenAndMerged(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(o *Options) { o.segmentSize = 32 << 10; o.MaxBytes = 1 << 30 })
	text := strings.Repeat("x", 500)
	for i := range 1000 {
		r.add(entry(fmt.Sprint("t", i%10), fmt.Sprint(i, text)))
	}
	for i := range 10 {
		r.log.Trim(fmt.Sprint("t", i), 3)
	}
	before := r.log.Stats()
	for range 100 {
		r.log.poke()
		r.add(entry("other", "x"))
		if s := r.log.Stats(); s.Bytes < before.Bytes/5 {
			break
		}
		r.log.queue.exclusive(func() {})
	}
	waitFor(t, func() bool { return r.log.Stats().Bytes < before.Bytes/5 })
	check := func() {
		t.Helper()
		for i := range 10 {
			all := r.all(fmt.Sprint("t", i))
			if len(all) != 3 || !strings.HasPrefix(all[2].Data, fmt.Sprint(990+i)) || all[2].Prev != all[1].Seq {
				t.Errorf("t%d: %d events", i, len(all))
			}
		}
	}
	check()
	r.reopen()
	check()
	if s := r.log.Stats(); s.Damaged != 0 || s.Holes != 0 {
		t.Errorf("damage %d, holes %d", s.Damaged, s.Holes)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(o *Options) { o.segmentSize = 64 << 10 })
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 200 {
				r.add(entry(fmt.Sprint("t", w), fmt.Sprint(i)), entry("all", fmt.Sprint(w)))
			}
		})
	}
	wg.Wait()
	check := func() {
		t.Helper()
		for w := range 16 {
			all := r.all(fmt.Sprint("t", w))
			for i, e := range all {
				if e.Data != fmt.Sprint(i) || i > 0 && e.Prev != all[i-1].Seq {
					t.Fatalf("t%d: %d is %+v", w, i, e)
				}
			}
			if len(all) != 200 {
				t.Errorf("t%d has %d events", w, len(all))
			}
		}
		if n := len(r.all("all")); n != 3200 {
			t.Errorf("all has %d events", n)
		}
	}
	check()
	for i, e := range r.hub.given {
		if e.Seq != uint64(i+1) {
			t.Fatalf("the hub was given %d as number %d", e.Seq, i+1)
		}
	}
	r.reopen()
	check()
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatal("it did not come")
		case <-tick.C:
		}
	}
}

// TestTextsAreTheCallersAgain: those of a request are parts of its body, whose memory
// the next one uses.
func TestTextsAreTheCallersAgain(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	body := []byte("topic:1 event data 1")
	text := unsafe.String(&body[0], len(body))
	for i := range 10 {
		copy(body, fmt.Sprintf("topic:%d event data %d", i, i))
		r.add(topic.Entry{Topic: text[:7], Name: text[8:13], Data: text[14:], HasEvent: true})
	}
	clear(body)
	check := func() {
		t.Helper()
		for i := range 10 {
			all := r.all(fmt.Sprint("topic:", i))
			if len(all) != 1 || all[0].Data != fmt.Sprint("data ", i) || all[0].Prev != 0 {
				t.Errorf("topic %d: %+v", i, all)
			}
		}
		if n := r.log.Stats().Topics; n != 10 {
			t.Errorf("%d topics, want 10", n)
		}
	}
	check()
	r.reopen()
	check()
}
