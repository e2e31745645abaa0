package cluster

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
	"github.com/nats-io/nats.go"

	"sluice/internal/topic"
)

// readAll reads all of a range.
func readAll(l *Log, name string, from, before uint64) (got []topic.Stored, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), logPatience)
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
	n.noBatch = true // as with more replicas
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
	for _, direct := range []bool{true, false} {
		n.noBatch = !direct
		if err := n.Read(t.Context(), "a", 1, 9, func(topic.Stored) error { return enough }); err != enough {
			t.Errorf("Read = %v", err)
		}
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
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) {
			t.Parallel()
			n := soloLog(t)
			for i := range readBatch + 1 {
				n.mustAppend(t, "a", fmt.Sprint(i))
			}
			n.stop()
			n.noBatch = !direct
			count := 0
			err := n.Read(t.Context(), "a", 1, 1<<40, func(topic.Stored) error {
				if count++; count == readBatch {
					n.e.nc.Close()
				}
				return nil
			})
			if err == nil || count != readBatch {
				t.Errorf("Read = %v after %d events", err, count)
			}
		})
	}
}

// batchAnswer is one message of a server's answer to a direct get of many.
func batchAnswer(status string, fields ...string) *nats.Msg {
	msg := nats.NewMsg("x")
	if status != "" {
		msg.Header.Set("Status", status)
	}
	for i := 0; i < len(fields); i += 2 {
		msg.Header.Set(fields[i], fields[i+1])
	}
	return msg
}

func batchPart(seq, after string) *nats.Msg {
	return batchAnswer("", "Nats-Sequence", seq, "Nats-Last-Sequence", after, "Nats-Time-Stamp", "2026-01-02T03:04:05.000000006Z")
}

func batchEnd(after, pending string) *nats.Msg {
	return batchAnswer("204", "Nats-Last-Sequence", after, "Nats-Num-Pending", pending)
}

func TestBatchThatLacksSomethingIsCut(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		messages []*nats.Msg
		want     int // messages, -1: cut
		pending  uint64
	}{
		"whole":                  {[]*nats.Msg{batchPart("3", "0"), batchPart("7", "3"), batchEnd("7", "2")}, 2, 2},
		"nothing":                {[]*nats.Msg{batchAnswer("404")}, 0, 0},
		"the first is lost":      {[]*nats.Msg{batchPart("7", "3"), batchEnd("7", "0")}, -1, 0},
		"one between is lost":    {[]*nats.Msg{batchPart("3", "0"), batchPart("9", "7"), batchEnd("9", "0")}, -1, 0},
		"the last is lost":       {[]*nats.Msg{batchPart("3", "0"), batchEnd("7", "0")}, -1, 0},
		"all are lost":           {[]*nats.Msg{batchEnd("7", "0")}, -1, 0},
		"nothing after some":     {[]*nats.Msg{batchPart("3", "0"), batchAnswer("404")}, -1, 0},
		"refused":                {[]*nats.Msg{batchAnswer("408")}, -1, 0},
		"nobody answers":         {[]*nats.Msg{batchAnswer("503")}, -1, 0},
		"a number that is none":  {[]*nats.Msg{batchPart("x", "0"), batchEnd("x", "0")}, -1, 0},
		"an end without numbers": {[]*nats.Msg{batchPart("3", "0"), batchAnswer("204")}, -1, 0},
	} {
		var b directBatch
		got, cut := -1, false
		for _, msg := range tt.messages {
			ended, err := b.add(msg)
			if cut = err != nil; cut && !errors.Is(err, errReadCut) {
				t.Errorf("%s: %v", name, err)
			}
			if ended {
				got = len(b.messages)
			}
			if cut || ended {
				break
			}
		}
		if cut {
			got = -1
		}
		if got != tt.want || got > 0 && b.pending != tt.pending {
			t.Errorf("%s: %d messages and %d pending, want %d and %d", name, got, b.pending, tt.want, tt.pending)
		}
	}
}

// A server that goes away in the middle of a batch says nothing more.
func TestReadOfASilentServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _ := startNATS(t, t.TempDir(), -1)
	e := openURL(t, s.ClientURL())
	l := NewLog(e, makeEV(t, e, 1), LogOptions{})
	l.name = "OTHER" // played by this test
	sub, err := e.nc.Subscribe(l.api("DIRECT.GET.OTHER"), func(msg *nats.Msg) {
		first := batchPart("3", "0")
		first.Data = appendEnvelope(nil, topic.Entry{Data: "1"}, true)
		_ = msg.RespondMsg(first)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe(sub)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = l.Read(ctx, "a", 1, 100, func(topic.Stored) error { t.Error("half a batch was given"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
}
