package eventlog

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidegate/internal/longtest"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// damagedTopics are topics that end at different places of a log of 20 MB.
const damagedTopics, damagedRounds = 100, 40

// fillToDamage publishes to the topics in turn: the first ones end first. It returns
// the ids of the events by their data.
func fillToDamage(t *testing.T, n *hubNode) (ids []string) {
	t.Helper()
	padding := strings.Repeat("x", 8000)
	for round := range damagedRounds {
		var ps []topic.Publication
		for i := round * damagedTopics / damagedRounds; i < damagedTopics; i++ {
			ps = append(ps, topic.Publication{
				Topic: fmt.Sprint("all:", i), HasEvent: true, Name: padding, Data: strconv.Itoa(len(ids) + len(ps)),
			})
		}
		for i, a := range n.hub.PublishAll(t.Context(), ps) {
			if a.Err != nil {
				t.Fatalf("publish %+v = %v", ps[i].Topic, a.Err)
			}
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// whatWas is which events there were of a topic.
func whatWas(name int) (all []int) {
	number := 0
	for round := range damagedRounds {
		for i := round * damagedTopics / damagedRounds; i < damagedTopics; i++ {
			if i == name {
				all = append(all, number)
			}
			number++
		}
	}
	return all
}

// files are the blocks of the log in a server's folder, oldest first.
func blockFiles(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".blk") && strings.Contains(path, "_EV") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func rewriteFile(t *testing.T, file string, do func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, do(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestX36DamageInFilesOfAServer: each client gets every event that it has not had, or
// a reset, whatever happened to the files while the server was down.
func TestX36DamageInFilesOfAServer(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, blocks []string){
		"a block in the middle": func(t *testing.T, blocks []string) {
			if err := os.Remove(blocks[1]); err != nil {
				t.Fatal(err)
			}
		},
		"some of a block is zero": func(t *testing.T, blocks []string) {
			rewriteFile(t, blocks[1], func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+20_000]); return b })
		},
		"the last block is cut": func(t *testing.T, blocks []string) {
			rewriteFile(t, blocks[len(blocks)-1], func(b []byte) []byte { return b[:len(b)/2] })
		},
		"the last block ends in zeros": func(t *testing.T, blocks []string) {
			rewriteFile(t, blocks[len(blocks)-1], func(b []byte) []byte { clear(b[len(b)/2:]); return b })
		},
		"the last block is gone": func(t *testing.T, blocks []string) {
			rewriteFile(t, blocks[len(blocks)-1], func([]byte) []byte { return nil })
		},
	}
	whole := t.TempDir()
	s, stop := natstest.Serve(t, whole, 0)
	n := runHubAt(t, s.URL(), 0)
	ids := fillToDamage(t, n)
	n.stop()
	stop()
	for name, harm := range tests {
		for _, back := range []int{50_000, 100} {
			t.Run(fmt.Sprint(name, ", of ", back), func(t *testing.T) { // not parallel: each reads a lot
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				harm(t, blockFiles(t, dir))
				s, _ := natstest.Serve(t, dir, 0)
				n := runHubAt(t, s.URL(), back)
				checkDamaged(t, n, ids)
			})
		}
	}
}

func checkDamaged(t *testing.T, n *hubNode, ids []string) {
	t.Helper()
	lost := 0
	for turn := range 2 { // what one client finds out, all know the second time
		for name := 0; name < damagedTopics; name += longtest.Number(3, 1) {
			all := whatWas(name)
			for _, at := range []int{0, len(all) / 2, len(all) - 1} {
				c := n.connect(t, ids[all[at]], fmt.Sprint("all:", name))
				got, _ := c.got(t)
				rest, reset := strings.CutPrefix(got, "reset")
				var want []string
				for _, number := range all[at+1:] {
					want = append(want, strconv.Itoa(number))
				}
				if whole := slices.Equal(strings.Fields(rest), want); !whole {
					if lost++; !reset && turn > 0 {
						t.Errorf("topic %d from %d: received %.100q without a reset, want %v", name, all[at], got, want)
					}
				}
			}
		}
		until(t, func() bool { return n.Stats().Holes > 0 })
	}
	if lost == 0 {
		t.Error("no client has missed an event: nothing is damaged")
	}
	if got, _ := n.connect(t, "", "all:new").got(t); got != "" {
		t.Errorf("who comes to a topic that never was received %q", got)
	}
	if _, there, err := n.Time(t.Context(), uint64(len(ids))); err != nil || !there {
		return // the id of what was the newest is void without it
	}
	for name := range damagedTopics {
		if got, _ := n.connect(t, ids[len(ids)-1], fmt.Sprint("all:", name)).got(t); got != "" {
			t.Errorf("topic %d: who stands at the end received %.100q", name, got)
		}
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(natstest.Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time")
		}
	}
}

// TestX36AnEventThatWasTakenOutBehindTheLog is damage of one event in the middle.
func TestX36AnEventThatWasTakenOutBehindTheLog(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	n := runHubAt(t, s.URL(), 0)
	var ids []string
	for i := range 5 {
		ids = append(ids, n.mustPublish(t, event("all:a", fmt.Sprint(i), "")).ID)
		n.mustPublish(t, event("all:b", fmt.Sprint(i), ""))
	}
	if err := n.ev.SecureDeleteMsg(t.Context(), 5); err != nil { // "2" of all:a
		t.Fatal(err)
	}
	for _, back := range []int{1, 2, 100} {
		n := runHubAt(t, s.URL(), back)
		for at, want := range []string{"reset 1 3 4", "reset 3 4", "3 4", "4", ""} {
			if got, _ := n.connect(t, ids[at], "all:a").got(t); got != want {
				t.Errorf("of %d in memory, behind %d: received %q, want %q", back, at, got, want)
			}
		}
		if got, _ := n.connect(t, "", "all:a").got(t); got != "reset 0 1 3 4" {
			t.Errorf("of %d in memory, a newcomer received %q", back, got)
		}
		if got, _ := n.connect(t, ids[0], "all:b").got(t); got != "0 1 2 3 4" {
			t.Errorf("of %d in memory, at another topic: received %q", back, got)
		}
		until(t, func() bool { return n.Stats().Holes > 0 })
	}
}

// TestX36StreamsAreToldOfWhatCannotBeRead: a message in the log that is no event.
func TestX36StreamsAreToldOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	n := runHubAt(t, s.URL(), 0)
	first := n.mustPublish(t, event("all:a", "1", ""))
	c, other := n.connect(t, "", "all:a"), n.connect(t, "", "all:b")
	if _, err := n.e.JetStream().Publish(t.Context(), topicSubject(n.e, "all:a"), []byte("?")); err != nil {
		t.Fatal(err)
	}
	last := n.mustPublish(t, event("all:a", "3", ""))
	n.mustPublish(t, event("all:b", "4", ""))
	if got, id := c.got(t); got != "1 reset 3" || id != last.ID {
		t.Errorf("the stream received %q and stands at %s, want 1 reset 3 and %s", got, id, last.ID)
	}
	if got, _ := other.got(t); got != "4" {
		t.Errorf("a stream at another topic received %q, want 4", got)
	}
	for _, back := range []int{1, 2, 100} {
		n := runHubAt(t, s.URL(), back)
		for id, want := range map[string]string{first.ID: "reset 3", last.ID: "", "": "reset 1 3"} {
			if got, _ := n.connect(t, id, "all:a").got(t); got != want {
				t.Errorf("of %d in memory, from %q: received %q, want %q", back, id, got, want)
			}
		}
	}
}

// TestNothingIsDamagedThatWasDropped: by a bound, by its age, or on purpose.
func TestNothingIsDamagedThatWasDropped(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	n := runHubAt(t, s.URL(), 0)
	for i := range 30 {
		for _, name := range []string{"all:a", "all:b", "all:c"} {
			n.mustPublish(t, event(name, fmt.Sprint(i), ""))
		}
	}
	if err := n.trimOne(t.Context(), "all:a", 5); err != nil {
		t.Fatal(err)
	}
	if err := n.hub.Delete(t.Context(), "all:b"); err != nil {
		t.Fatal(err)
	}
	n.mustPublish(t, event("all:b", "anew", ""))
	n.mustPublish(t, event("all:b", "again", ""))
	for _, back := range []int{1, 40, 1000} {
		n := runHubAt(t, s.URL(), back)
		for name, want := range map[string]int{"all:a": 5, "all:b": 2, "all:c": 30} {
			got, _ := n.connect(t, "", name).got(t)
			if words := strings.Fields(strings.TrimPrefix(got, "reset")); len(words) != want {
				t.Errorf("of %d in memory: %s has %q, want %d events", back, name, got, want)
			}
		}
		if got := n.damage.lost.Load(); got != 0 || n.Stats().Holes != 0 {
			t.Errorf("of %d in memory: lost up to %d, %d holes, want none", back, got, n.Stats().Holes)
		}
	}
}
