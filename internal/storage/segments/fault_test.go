package segments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/longtest"
	"tidegate/internal/topic"
)

// allFaultsVariable has each operation fail in each way, for each time, not only now
// and then in one of them.
const allFaultsVariable = "TIDETEST_ALL_FAULTS"

// TestWhateverFailsNothingAnsweredIsLost runs a script and has one operation of the file system
// after the other fail: once, for a while, or until the end. No acknowledged event may be
// lost, and no position be used twice. The log goes on by itself when the operations succeed
// again.
func TestWhateverFailsNothingAnsweredIsLost(t *testing.T) {
	t.Parallel()
	for _, power := range []bool{false, true} {
		t.Run(fmt.Sprint("power ", power), func(t *testing.T) {
			t.Parallel()
			files := &faultFS{seen: []string{}}
			runScript(t, files, power)
			last := files.count()
			if last < 100 {
				t.Fatalf("the script does %d operations", last)
			}
			every := longtest.Number(2, 1) // of the rounds through all kinds of faults
			for n := 1; n <= last; n++ {
				for i, long := range []int{1, 25, math.MaxInt} {
					for k, kind := range faultKinds {
						if os.Getenv(allFaultsVariable) == "" && ((n+i)%3 != 0 || n/3%len(faultKinds) != k || n/3/len(faultKinds)%every != 0) {
							continue
						}
						op, _, _ := strings.Cut(files.seen[n-1], " ")
						if kind.only != "" && !strings.Contains(kind.only, op) {
							continue
						}
						t.Run(fmt.Sprintf("%s %d times from %d %s", kind.name, long, n, op), func(t *testing.T) {
							failing := &faultFS{}
							failing.set(func(now int, op, _ string) fault {
								if now < n || now-n >= long || kind.only != "" && !strings.Contains(kind.only, op) {
									return fault{}
								}
								return kind.fault
							})
							runScript(t, failing, power)
						})
					}
				}
			}
		})
	}
}

// script is a log on a file system that fails, and what it has answered.
type script struct {
	t     *testing.T
	opts  Options
	log   *Log
	end   func()
	hub   *follower
	count int

	answered map[uint64]string // topic and data by position
	unsure   map[string]bool   // the same of events that failed
	below    map[string]uint64 // events of a topic below were dropped
	keep     map[string]int    // or are at most so many
	highest  uint64
}

func runScript(t *testing.T, files *faultFS, power bool) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, answered: make(map[uint64]string), unsure: make(map[string]bool), below: make(map[string]uint64), keep: make(map[string]int)}
		s.opts = Options{
			Dir: t.TempDir(), Power: power, FS: files, Log: slog.New(slog.DiscardHandler),
			segmentSize: 4 << 10, maintain: time.Second, MaxBytes: 1 << 30,
		}
		s.run(files)
	})
}

func (s *script) run(files *faultFS) {
	if s.open() {
		s.use()
		s.close()
	}
	if s.open() {
		s.use()
		s.close()
	}
	files.set(nil)
	if s.log == nil && !s.open() {
		s.t.Fatal("it cannot be opened when nothing fails any more")
	}
	s.goesOn()
	s.check("when nothing fails any more")
	s.close()
	if !s.open() {
		s.t.Fatal("it cannot be opened again")
	}
	s.check("opened again")
	if st := s.log.Stats(); st.Holes > 0 || st.Damaged > 0 {
		s.t.Errorf("%d places are damaged and %d positions are missing, and nothing was", st.Damaged, st.Holes)
	}
	s.goesOn()
	s.close()
}

// open opens the log, if it can be.
func (s *script) open() bool {
	l, err := Open(context.Background(), s.opts)
	if err != nil {
		return false
	}
	s.log, s.hub = l, &follower{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx, s.hub); err != nil {
			s.t.Errorf("Run = %v", err)
		}
	})
	if err := l.Caught(context.Background()); err != nil {
		s.t.Errorf("Caught = %v", err)
	}
	s.end = func() {
		cancel()
		wg.Wait()
		_ = l.Close() // may fail with its files
		s.log = nil
	}
	return true
}

func (s *script) close() { s.end() }

// use does a bit of everything.
func (s *script) use() {
	for i := range 6 {
		s.add(entry("a", s.text(100)), entry("b", s.text(500)), entry("a", s.text(10)))
		s.add(topic.Entry{Topic: "keyed", HasEvent: true, Data: s.text(10), Key: fmt.Sprint(s.count)})
		s.add(entry(fmt.Sprint("t", i), s.text(1000)), entry("old", s.text(1500)))
	}
	s.trim("a", 3)
	s.trim("old", 1)
	time.Sleep(3 * time.Second) // maintenance
	s.add(entry("c", s.text(3000)))
	s.add(entry("c", s.text(3000)))
	s.remove("b")
	time.Sleep(3 * time.Second)
	s.add(entry("b", s.text(100)), entry("a", s.text(100)))
	synctest.Wait()
	s.check("in the script")
}

// text is what no other event says.
func (s *script) text(size int) string {
	s.count++
	return fmt.Sprint(s.count, " ", strings.Repeat("x", size))
}

func (s *script) add(entries ...topic.Entry) (ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ok = true
	for i, r := range s.log.AppendAll(ctx, entries) {
		what := entries[i].Topic + " " + entries[i].Data
		if r.Err != nil {
			s.unsure[what], ok = true, false
			continue
		}
		if was, twice := s.answered[r.Seq]; twice {
			s.t.Errorf("position %d was answered for %.20q, and then for %.20q", r.Seq, was, what)
		}
		if r.Seq <= s.highest {
			s.t.Errorf("position %d was answered after %d", r.Seq, s.highest)
		}
		s.answered[r.Seq], s.highest = what, max(s.highest, r.Seq)
	}
	return ok
}

func (s *script) trim(name string, keep int) {
	s.log.Trim(name, keep)
	s.keep[name] = keep
}

// remove deletes a topic.
func (s *script) remove(name string) {
	r := s.log.AppendAll(context.Background(), []topic.Entry{{Topic: name, Delete: true}})[0]
	s.below[name] = math.MaxUint64 // if it is not known
	if r.Err == nil {
		s.below[name], s.highest = r.Seq, r.Seq
		_ = s.log.Purge(context.Background(), name, r.Seq) // the deletion counts without it
	}
}

// goesOn waits until something is stored.
func (s *script) goesOn() {
	for range 60 {
		if s.add(entry("on", s.text(10))) {
			return
		}
		time.Sleep(time.Second)
	}
	s.t.Fatal("nothing is stored for a minute, and nothing fails any more")
}

// check compares what is there with what was answered.
func (s *script) check(when string) {
	s.t.Helper()
	there := make(map[uint64]string)
	count := make(map[string]int)
	for _, name := range []string{"a", "b", "c", "keyed", "old", "on", "t0", "t1", "t2", "t3", "t4", "t5"} {
		var before topic.Stored
		err := s.log.Read(context.Background(), name, 1, math.MaxUint64, func(e topic.Stored) error {
			what := name + " " + e.Data
			if s.answered[e.Seq] != what && !s.unsure[what] && !e.Delete {
				s.t.Errorf("%s: at %d stands %.20q, answered was %.20q", when, e.Seq, what, s.answered[e.Seq])
			}
			if before.Seq > 0 && e.PrevKnown && e.Prev != before.Seq && e.DeletedTo < before.Seq && !e.Delete {
				s.t.Errorf("%s: %q: %d comes behind %d, and names %d", when, name, e.Seq, before.Seq, e.Prev)
			}
			there[e.Seq], before = what, e
			count[name]++
			return nil
		})
		if err != nil {
			if errors.Is(err, errDamaged) {
				s.t.Errorf("%s: read %q: %v", when, name, err)
			}
			return // the file cannot be read now
		}
		if lost := s.log.Lost(name); lost > 0 {
			s.t.Errorf("%s: Lost(%q) = %d", when, name, lost)
		}
	}
	for seq, what := range s.answered {
		name, _, _ := strings.Cut(what, " ")
		if there[seq] == what || seq < s.below[name] || s.keep[name] > 0 && count[name] >= s.keep[name] {
			continue
		}
		s.t.Errorf("%s: event %d, %.20q, was answered and is not there", when, seq, what)
	}
	if d := s.log.Discarded(); d > 0 {
		s.t.Errorf("%s: Discarded = %d", when, d)
	}
}
