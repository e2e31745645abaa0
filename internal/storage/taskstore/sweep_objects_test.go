package taskstore

import (
	"bytes"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// leaveParts leaves chunks and objects in the object store of s: those of a process that died
// while it stored a part, and of one that died while it deleted one. It also leaves an object
// that no record has, and a message that marks an object as deleted.
func leaveParts(t *testing.T, s *Store) {
	t.Helper()
	for range 3 {
		if _, err := s.e.JetStream().Publish(t.Context(), s.chunkSubject("half"), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"none.result.x", "deleted.result.x", "unnamed.result.x"} {
		if err := s.upload(t.Context(), name, 1000, bytes.NewReader(make([]byte, 1000))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.results.Delete(t.Context(), "deleted.result.x"); err != nil {
		t.Fatal(err)
	}
	stream, err := s.objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(s.nameSubject("unnamed.result.x"))); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsLeftOfPartsIsSwept(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), Options{})
	want := withLarge(t, s, "large")
	live := leftInResults(t, s)
	leaveParts(t, s)
	littered := leftInResults(t, s)
	s.list.sawAll()
	if err := s.sweepObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := leftInResults(t, s); n != littered {
		t.Errorf("%d messages are left of %d although they are young", n, littered)
	}
	s.objectAge = 0
	if err := s.sweepObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := leftInResults(t, s); n != live {
		t.Errorf("%d messages are left, want the %d of the part that is in use", n, live)
	}
	if rec, err := s.Load(t.Context(), "large"); err != nil || !bytes.Equal(rec.Params, want.Params) {
		t.Errorf("task has parameters of %d bytes, %v; want %d", len(rec.Params), err, len(want.Params))
	}
}

// TestPartsInUseAreNotSweptWhileTheListIsBehind has a store whose list has not got a
// record yet, and one whose list is being made anew.
func TestPartsInUseAreNotSweptWhileTheListIsBehind(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	s, other := newTasks(t, e, Options{}), newTasks(t, e, Options{})
	want := withLarge(t, other, "large")
	s.objectAge = 0
	leaveParts(t, s)
	before := leftInResults(t, s)
	for _, whole := range []bool{false, true} {
		s.list.clear()
		if whole {
			s.list.sawAll()
		}
		if err := s.sweepObjects(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rec, err := s.Load(t.Context(), "large"); err != nil || !bytes.Equal(rec.Params, want.Params) {
			t.Errorf("list is whole: %v; task has parameters of %d bytes, %v; want %d", whole, len(rec.Params), err, len(want.Params))
		}
		if n := leftInResults(t, s); (n == before) == whole {
			t.Errorf("list is whole: %v; %d messages are left of %d", whole, n, before)
		}
	}
}
