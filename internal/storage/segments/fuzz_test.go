package segments

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"tidegate/internal/longtest"
	"tidegate/internal/topic"
)

// FuzzRecord reads anything as a record. What is one is the same when it is written.
func FuzzRecord(f *testing.F) {
	key := keyID{1, 2, 3}
	for _, e := range []topic.Stored{
		{},
		{Entry: topic.Entry{Topic: "a", Name: "n", Data: "d", HasEvent: true, Number: 2, Prev: 1}, Seq: 300, At: 5, PrevKnown: true},
		{Entry: topic.Entry{Topic: "ü", Close: true, Delete: true, DeletedTo: 299, Age: time.Hour}, Seq: 301, At: math.MaxInt64},
	} {
		f.Add(appendEvent(nil, 7, &e, nil)[recordHeader:])
		f.Add(appendEvent(nil, 7, &e, &key)[recordHeader:])
	}
	f.Add(appendControl(nil, 7, control{kind: kindTrim, topic: "a", from: 1, to: 300})[recordHeader:])
	f.Fuzz(func(t *testing.T, b []byte) {
		for k := kindTrim; k < kindsKnown; k++ {
			if m, err := parseControl(k, b); err == nil {
				again, err := parseControl(k, appendControl(nil, 7, m)[recordHeader:])
				if err != nil || again != m {
					t.Errorf("a control record %+v is read as %+v, %v", m, again, err)
				}
			}
		}
		v, err := parseEvent(b)
		if err != nil {
			return
		}
		e := v.stored(string(v.topic))
		var key *keyID
		if v.key != nil {
			key = (*keyID)(v.key)
		}
		record := appendEvent(nil, 7, &e, key)
		h, ok := headOf(record, mostRecord)
		if !ok || h.size != len(record) || sum(record, 7) != h.sum || sum(record, 8) == h.sum {
			t.Errorf("the head of a record of %d bytes is %+v, %v", len(record), h, ok)
		}
		again, err := parseEvent(record[recordHeader:])
		if err != nil || !reflect.DeepEqual(again.stored(e.Topic), e) || !bytes.Equal(again.key, v.key) {
			t.Errorf("an event %+v is read as %+v, %v", e, again.stored(e.Topic), err)
		}
	})
}

// FuzzHeader reads anything as what stands at the beginning of files.
func FuzzHeader(f *testing.F) {
	f.Add(header{base: 1, salt: 2, prior: 3, floors: floors{4, 5}}.append(nil))
	f.Add([]byte(`{"version":1,"generation":"abcdefgh","secret":"x","salt":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHeader(b); err == nil {
			if again, err := parseHeader(h.append(nil)); err != nil || again != h {
				t.Errorf("a header %+v is read as %+v, %v", h, again, err)
			}
		}
		dir := t.TempDir()
		for _, name := range []string{"meta.json", headName} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = readMeta(system{}, dir)
		_, _ = readHead(system{}, dir)
	})
}

// FuzzScan looks for records in anything, with records between. All that is whole and
// begins where the one before ends is found, and every byte belongs to something.
func FuzzScan(f *testing.F) {
	f.Add([]byte{}, []byte{recordMagic, 1, 0, 0, 4, 0, 0, 0}, uint8(3))
	f.Add(bytes.Repeat([]byte{0}, 100), []byte("x"), uint8(1))
	f.Fuzz(func(t *testing.T, before, between []byte, count uint8) {
		const salt = 99
		file, want := bytes.Clone(before), make(map[int64]bool)
		for i := range int(count % 8) {
			want[int64(len(file))] = true
			file = appendEvent(file, salt, &topic.Stored{Entry: topic.Entry{Topic: "a", Data: "data"}, Seq: uint64(i + 1)}, nil)
			file = append(file, between...)
		}
		found, end := make(map[int64]bool), int64(0)
		err := scanFile(bytes.NewReader(file), scanOptions{salt: salt, to: int64(len(file))}, func(r scanned) error {
			if r.off != end || r.end <= r.off || r.end > int64(len(file)) {
				t.Fatalf("bytes %d to %d come behind %d", r.off, r.end, end)
			}
			if end = r.end; r.kind == kindEvent {
				found[r.off] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for off := range want {
			if !found[off] {
				t.Errorf("the record at %d is not found", off)
			}
		}
		if !allZero(file[end:]) {
			t.Errorf("bytes from %d on are nothing, and there are %d", end, len(file))
		}
	})
}

// FuzzRebuild damages the segments of a folder. It can be opened, and each client gets
// every event or a reset.
func FuzzRebuild(f *testing.F) {
	f.Add([]byte{3, 0, 1, 0, 50})
	f.Add([]byte{0, 1, 0, 100, 1, 5, 2, 3, 0, 9})
	f.Add([]byte{1, 4, 0, 0, 0, 2, 4, 0, 0, 0})
	f.Add([]byte{7, 5, 2, 200, 8})
	o := makeOriginal(f)
	f.Fuzz(func(t *testing.T, script []byte) { o.damagedBy(t, script) })
}

// fuzzOne does one step of a script: file, what, place, and how much.
func fuzzOne(t *testing.T, o *original, dir string, step []byte) {
	path := filepath.Join(dir, o.names[int(step[0])%len(o.names)])
	b, err := os.ReadFile(path)
	if err != nil {
		return // it was removed
	}
	at, n := 0, int(step[4])*3
	if len(b) > 0 {
		at = int(binary.BigEndian.Uint16(step[2:])) % len(b)
	}
	end := min(at+n, len(b))
	switch step[1] % 6 {
	case 0:
		if at < len(b) {
			b[at] ^= 1 << (step[4] % 8)
		}
	case 1:
		clear(b[at:end])
	case 2:
		b = b[:at]
	case 3:
		for i := at; i < end; i++ {
			b[i] = byte(i) * step[4]
		}
	case 4:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	case 5:
		other := o.names[int(step[4])%len(o.names)]
		if b, err = os.ReadFile(filepath.Join(dir, other)); err != nil {
			return
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzImport takes over events of another log. What is taken is there with its
// position, its time and its predecessor.
func FuzzImport(f *testing.F) {
	f.Add([]byte{1, 0, 5, 1, 1, 9, 2, 0, 200}, uint64(0), uint64(0))
	f.Add([]byte{0, 0, 1}, uint64(5), uint64(3))
	f.Fuzz(func(t *testing.T, script []byte, last, discarded uint64) {
		last, discarded = last%1e6, discarded%1e6
		opts := Options{Dir: t.TempDir(), segmentSize: 1 << 10, Log: slog.New(slog.DiscardHandler)}
		var all []topic.Stored
		newest := make(map[string]uint64)
		seq := uint64(0)
		for ; len(script) >= 3; script = script[3:] {
			seq += uint64(script[0]) // 0: twice the same
			e := topic.Stored{Seq: seq, At: int64(seq) * 1e9, PrevKnown: true, Entry: topic.Entry{
				Topic: string(rune('a' + script[1]%3)), HasEvent: true, Data: string(bytes.Repeat([]byte{script[2]}, int(script[2]))),
			}}
			e.Prev = newest[e.Topic]
			newest[e.Topic] = seq
			all = append(all, e)
		}
		i := 0
		err := Import(opts, NewMeta(), last, discarded, func() (Imported, error) {
			if i == len(all) {
				return Imported{}, io.EOF
			}
			i++
			return Imported{Stored: all[i-1]}, nil
		})
		wrong, before := false, uint64(0)
		for _, e := range all {
			wrong, before = wrong || e.Seq <= before, e.Seq
		}
		if wrong != (err != nil) {
			t.Fatalf("Import = %v; positions are wrong: %v", err, wrong)
		}
		if err != nil {
			if _, err := readMeta(system{}, opts.Dir); !errors.Is(err, errNoMeta) {
				t.Errorf("what was not taken over is a log: %v", err)
			}
			return
		}
		checkImported(t, opts, all, last, discarded)
	})
}

func checkImported(t *testing.T, opts Options, all []topic.Stored, last, discarded uint64) {
	t.Helper()
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	defer func() { _ = l.Close() }()
	if s := l.Stats(); s.Damaged > 0 || s.Holes > 0 || s.Last < last || l.Discarded() < discarded {
		t.Errorf("%+v, want it undamaged, and its last position at %d or above", s, last)
	}
	for _, name := range []string{"a", "b", "c"} {
		var got, want []topic.Stored
		if err := l.Read(t.Context(), name, 0, math.MaxUint64, func(e topic.Stored) error {
			got = append(got, e)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Topic == name {
				want = append(want, e)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q has %d events, want %d: %+v", name, len(got), len(want), got)
		}
	}
}

// damagesVariable is how many scripts TestX36AnyDamageIsAResetOrNothing draws.
const damagesVariable = "TIDETEST_DAMAGES"

// TestX36AnyDamageIsAResetOrNothing does what FuzzRebuild does, with scripts drawn at
// random: each seed is run again by its name.
func TestX36AnyDamageIsAResetOrNothing(t *testing.T) {
	t.Parallel()
	count := longtest.Number(16, 40)
	if n, err := strconv.Atoi(os.Getenv(damagesVariable)); err == nil {
		count = n
	}
	o := makeOriginal(t)
	for seed := range count {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 36))
			script := make([]byte, 5*(1+rng.IntN(4)))
			for i := range script {
				script[i] = byte(rng.Uint32())
			}
			o.damagedBy(t, script)
		})
	}
}

// damagedBy runs a script and looks what clients get.
func (o *original) damagedBy(t *testing.T, script []byte) {
	dir := o.copyTo(t)
	for ; len(script) >= 5; script = script[5:] {
		fuzzOne(t, o, dir, script)
	}
	if _, err := Check(t.Context(), quietOptions(dir)); err != nil {
		t.Errorf("Check = %v", err)
	}
	for _, when := range []string{"opened", "opened again"} {
		withHub(t, quietOptions(dir), func(l *Log, h *topic.Hub) { o.judge(t, when, 3, l, h) })
	}
}
