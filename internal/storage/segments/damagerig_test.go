package segments

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// browser is a stream that is read as a client reads it.
type browser struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

func (c *browser) Push(b *stream.Batch, f *stream.Frame) error {
	return c.PushAll(b, []stream.Item{{Frame: f}})
}

func (c *browser) PushAll(_ *stream.Batch, items []stream.Item) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range items {
		c.all.Write(i.Frame.Block())
	}
	return nil
}

func (c *browser) Merge(items []stream.Item) error                    { return c.PushAll(nil, items) }
func (c *browser) End(*stream.Batch, wire.Ending, *stream.Frame) bool { return true }
func (c *browser) HasEvents() bool                                    { return false }

// got is the data of the events, and "reset".
func (c *browser) got(t testing.TB) (words []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := sse.NewDecoder(bytes.NewReader(c.all.Bytes()), sse.DecoderOptions{})
	for ev, err := range d.Events() {
		if err != nil {
			t.Errorf("read the stream: %v", err)
		}
		if ev.Name == "reset" {
			ev.Data = ev.Name
		}
		words = append(words, ev.Data)
	}
	return words
}

// original is a folder that is whole, and what was answered for what is in it.
type original struct {
	dir     string
	opts    Options
	topics  []string
	answers map[string][]answer // by topic, oldest first
	records []recordAt          // of all segments
	names   []string            // of the segments
}

// answer is one event that was answered.
type answer struct {
	id, data string
	seq      uint64
	dropped  bool // trimmed, or deleted
}

// recordAt is where a record stands.
type recordAt struct {
	file     string
	off, end int64
	kind     kind
	seq      uint64
	topic    string
	keyed    bool
	closing  bool
	deleting bool
	first    bool // of the file
	last     bool
}

func quietOptions(dir string) Options {
	return Options{Dir: dir, segmentSize: 4 << 10, maintain: time.Hour, MaxBytes: 1 << 30, Log: slog.New(slog.DiscardHandler)}
}

// withHub runs a log and a hub for as long as use takes.
func withHub(t testing.TB, opts Options, use func(*Log, *topic.Hub)) {
	t.Helper()
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	hub := topic.New(topic.Options{Store: l, Generation: l.Generation(), Default: topic.Retention{Events: 1000, Replay: topic.ReplayAll}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx, hub) })
	defer func() {
		cancel()
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}()
	if err := l.Caught(t.Context()); err != nil {
		t.Fatalf("Caught = %v", err)
	}
	use(l, hub)
}

// makeOriginal fills a folder: some nine segments of topics that are kept, trimmed,
// deleted and closed.
func makeOriginal(t testing.TB) *original {
	t.Helper()
	o := &original{dir: t.TempDir(), answers: make(map[string][]answer)}
	o.opts = quietOptions(o.dir)
	o.topics = []string{"a", "b", "c", "trimmed", "deleted", "closed", "rare"}
	n := 0
	withHub(t, o.opts, func(l *Log, h *topic.Hub) {
		send := func(name, key string, size int, ends bool) {
			n++
			p := topic.Publication{Topic: name, HasEvent: true, Data: fmt.Sprintf("%d-%s", n, strings.Repeat("x", size)), Key: key, Close: ends}
			r, err := h.Publish(t.Context(), p)
			if err != nil {
				t.Fatalf("publish to %s: %v", name, err)
			}
			e, _, err := l.Last(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			o.answers[name] = append(o.answers[name], answer{id: r.ID, data: p.Data, seq: e.Seq})
		}
		for i := range 36 {
			send("a", "", 200, false)
			send("b", fmt.Sprint("key", i), 100, false)
			send([]string{"trimmed", "deleted", "c"}[i%3], "", 300, false)
			switch i {
			case 4, 20:
				send("rare", "", 50, false)
			case 12:
				send("closed", "", 50, false)
				send("closed", "", 50, true)
			case 18:
				l.Trim("trimmed", 2)
				dropBut(o.answers["trimmed"], 2)
			case 24:
				if err := h.Delete(t.Context(), "deleted"); err != nil {
					t.Fatal(err)
				}
				dropBut(o.answers["deleted"], 0)
			}
		}
	})
	o.scan(t)
	if len(o.names) < 6 {
		t.Fatalf("%d segments", len(o.names))
	}
	return o
}

func dropBut(answers []answer, keep int) {
	for i := range answers[:len(answers)-keep] {
		answers[i].dropped = true
	}
}

// scan lists the records.
func (o *original) scan(t testing.TB) {
	t.Helper()
	names, err := segmentNames(system{}, o.dir, false)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := readMeta(system{}, o.dir)
	if err != nil {
		t.Fatal(err)
	}
	o.names = names
	for _, name := range names {
		f, err := os.Open(filepath.Join(o.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Stat()
		begin := len(o.records)
		err = scanFile(f, scanOptions{salt: meta.Salt, from: segmentHeader, to: info.Size()}, func(r scanned) error {
			at := recordAt{file: name, off: r.off, end: r.end, kind: r.kind}
			if v, err := parseEvent(r.body); r.kind == kindEvent && err == nil {
				at.seq, at.topic, at.keyed = v.seq, string(v.topic), v.key != nil
				at.closing, at.deleting = v.flags&flagClose != 0, v.flags&flagDelete != 0
			}
			o.records = append(o.records, at)
			return nil
		})
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		if len(o.records) > begin {
			o.records[begin].first, o.records[len(o.records)-1].last = true, true
		}
	}
}

// find gives a record, or fails the test.
func (o *original) find(t testing.TB, what string, is func(recordAt) bool) recordAt {
	t.Helper()
	i := slices.IndexFunc(o.records, is)
	if i < 0 {
		t.Fatalf("there is no %s", what)
	}
	return o.records[i]
}

// copyTo makes a copy to be damaged.
func (o *original) copyTo(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(dir, os.DirFS(o.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// judge connects clients at every step-th position, and fails the test if one of them
// misses an event without a reset. It returns the topics at which a client got a reset.
func (o *original) judge(t testing.TB, when string, step int, l *Log, h *topic.Hub) map[string]bool {
	t.Helper()
	resets := make(map[string]bool)
	for _, name := range o.topics {
		answers := o.answers[name]
		for i := -1; i < len(answers); i += step {
			id := ""
			if i >= 0 {
				id = answers[i].id
			}
			c := &browser{}
			m := topic.NewMember(c, id)
			if _, err := h.Attach(t.Context(), m, []string{name}, topic.FromDefault); err != nil {
				t.Errorf("%s: attach to %q with %q: %v", when, name, id, err)
				return resets
			}
			h.Open(m)
			got := c.got(t)
			h.Leave(m)
			if len(got) > 0 && got[0] == "reset" {
				resets[name], got = true, got[1:]
				if !inOrder(got, datas(answers, true)) {
					t.Errorf("%s: %q behind %d of %d gives what was not sent: %.60q", when, name, i+1, len(answers), got)
				}
				continue
			}
			if _, known, _ := l.Last(t.Context(), name); id == "" && len(got) == 0 && !known {
				continue // nothing is left that names the topic: it is one that never was
			}
			if all, left := datas(answers[i+1:], true), datas(answers[i+1:], false); !slices.Equal(got, all) && !slices.Equal(got, left) {
				t.Errorf("%s: SILENT: %q behind event %d of %d gives %d events, want %d", when, name, i+1, len(answers), len(got), len(left))
			}
		}
	}
	return resets
}

func datas(answers []answer, dropped bool) (all []string) {
	for _, a := range answers {
		if dropped || !a.dropped {
			all = append(all, a.data)
		}
	}
	return all
}

// inOrder reports whether some are among all, in their order and each once.
func inOrder(some, all []string) bool {
	for _, s := range some {
		i := slices.Index(all, s)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}
