package segments

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/topic"
)

// verdict is what Check has to say of a folder.
type verdict int

const (
	isDamaged  verdict = iota // something is missing or wrong, and is named
	isHarmless                // nothing that was answered is missing: no client gets a reset
	isEither
)

// damage is a way to damage a folder.
type damage struct {
	name    string
	do      func(t *testing.T, f folder)
	verdict verdict
	// topics are those whose clients may get a reset, beside those that have nothing newer;
	// nil for all.
	topics []string
}

// folder is a copy of an original.
type folder struct {
	o   *original
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// edit changes the bytes of a file.
func (f folder) edit(t *testing.T, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(f.path(name))
	if err == nil {
		err = os.WriteFile(f.path(name), change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (f folder) flip(t *testing.T, name string, off int64) {
	t.Helper()
	f.edit(t, name, func(b []byte) []byte {
		b[off] ^= 0x10
		return b
	})
}

func (f folder) cut(t *testing.T, name string, size int64) {
	t.Helper()
	f.edit(t, name, func(b []byte) []byte { return b[:size] })
}

func (f folder) zero(t *testing.T, name string, from, to int64) {
	t.Helper()
	f.edit(t, name, func(b []byte) []byte {
		clear(b[from:min(to, int64(len(b)))])
		return b
	})
}

func (f folder) rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(f.path(from), f.path(to)); err != nil {
		t.Fatal(err)
	}
}

func (f folder) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(f.path(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (f folder) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(f.path(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestX36EachDamageIsAResetForWhomItConcerns damages a folder in every way that came to mind. A
// client at each earlier position must get every event that it has missed, or a reset. It
// must do so at once, and after the log was opened again and rewritten. Check names the
// damage.
func TestX36EachDamageIsAResetForWhomItConcerns(t *testing.T) {
	t.Parallel()
	o := makeOriginal(t)
	before := make(map[string]bool)
	withHub(t, quietOptions(o.copyTo(t)), func(l *Log, h *topic.Hub) { before = o.judge(t, "undamaged", 1, l, h) })
	for _, d := range damages(t, o) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			f := folder{o, o.copyTo(t)}
			d.do(t, f)
			checkNames(t, f, d.verdict)
			for round, when := range []string{"opened", "opened again"} {
				withHub(t, quietOptions(f.dir), func(l *Log, h *topic.Hub) {
					resets := o.judge(t, when, 1+2*round, l, h)
					judgeResets(t, d, when, resets, before, o)
					goesOn(t, h)
					if round == 1 { // the rest is written anew
						l.syncSealed()
						l.dropEmpty()
						for l.rewriteSome(t.Context()) {
						}
						o.judge(t, when+", rewritten", 3, l, h)
					}
				})
			}
		})
	}
}

func checkNames(t *testing.T, f folder, want verdict) {
	t.Helper()
	r, err := Check(t.Context(), quietOptions(f.dir))
	switch {
	case err != nil:
		t.Errorf("Check = %v", err)
	case want == isDamaged && !r.Damaged():
		t.Errorf("Check names no damage: %+v", r.Damage)
	case want == isHarmless && r.Damaged():
		t.Errorf("Check names damage where there is none: %+v", r.Damage)
	}
}

// judgeResets checks that no client got a reset without need.
func judgeResets(t *testing.T, d damage, when string, resets, before map[string]bool, o *original) {
	t.Helper()
	for name := range resets {
		concerned := before[name] || d.verdict != isHarmless && (d.topics == nil || slices.Contains(d.topics, name))
		if !concerned && (d.verdict == isHarmless || name != "rare" && name != "closed") {
			t.Errorf("%s: a client at %q got a reset", when, name)
		}
	}
}

// goesOn checks that events are stored, and given to who is there.
func goesOn(t *testing.T, h *topic.Hub) {
	t.Helper()
	c := &browser{}
	m := topic.NewMember(c, "")
	if _, err := h.Attach(t.Context(), m, []string{"new"}, topic.FromLatest); err != nil {
		t.Fatalf("attach: %v", err)
	}
	h.Open(m)
	defer h.Leave(m)
	for i := range 3 {
		if _, err := h.Publish(t.Context(), topic.Publication{Topic: "new", HasEvent: true, Data: fmt.Sprint(i)}); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	if got := strings.Join(c.got(t), " "); got != "0 1 2" {
		t.Errorf("a stream is given %q, want 0 1 2", got)
	}
}

// TestADeletionCountsWithoutItsEvent: each later event of the topic says so.
func TestADeletionCountsWithoutItsEvent(t *testing.T) {
	t.Parallel()
	o := makeOriginal(t)
	f := folder{o, o.copyTo(t)}
	for _, r := range o.records {
		if r.deleting || r.kind == kindTrim {
			f.flip(t, r.file, r.end-1)
		}
	}
	withHub(t, quietOptions(f.dir), func(l *Log, h *topic.Hub) {
		for _, a := range o.answers["deleted"] {
			err := l.Read(t.Context(), "deleted", a.seq, a.seq+1, func(topic.Stored) error {
				if a.dropped {
					t.Errorf("event %d is back, and was deleted", a.seq)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		o.judge(t, "opened", 1, l, h)
	})
}
