package record

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWrittenLinesAreReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "publisher-0000.ndjson")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Event{
		{Global: 1, Topic: 3, Number: 1, Begin: 5, Done: 8, ID: "x-1", Attempts: 2},
		{Global: 2, Publisher: 7, Number: 1, Begin: 9, Attempts: 40, End: true},
	}
	for _, e := range want {
		w.Write(e)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []Event
	err = Read(path, ParseEvent, func(e Event) error {
		got = append(got, e)
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "empty directory") {
		t.Errorf("an existing file: %v", err)
	}
}

func TestAnAbortedRunIsNotARun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadRun(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "aborted") {
		t.Errorf("without run.json: %v", err)
	}
	want := Run{Publishers: 1, Topics: 2, Clients: 3, Callbacks: true, Took: 5}
	if err := Finish(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRun(dir); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, runFile), []byte(`{"topics":-1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(dir); !errors.Is(err, ErrInvalid) {
		t.Errorf("an invalid run: %v", err)
	}
}

func TestInvalidLines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		``, `[]`, `{"g":1,"n":1,"b":1}{}`, `{"g":1,"n":1,"b":1,"x":1}`, `{"g":0,"n":1,"b":1}`, `{"g":1,"n":0,"b":1}`,
		`{"g":1,"n":1,"b":2,"d":2,"id":"x"}`, `{"g":1,"n":1,"b":2,"d":3}`, `{"g":1,"n":1,"b":2,"id":"x"}`,
	} {
		if _, err := ParseEvent([]byte(line)); !errors.Is(err, ErrInvalid) {
			t.Errorf("event %s: %v", line, err)
		}
	}
	for _, line := range []string{`{"k":"other"}`, `{"k":"event","n":1}`, `{"k":"position"}`, `{"k":"reset"}`} {
		if _, err := ParseObservation([]byte(line)); !errors.Is(err, ErrInvalid) {
			t.Errorf("observation %s: %v", line, err)
		}
	}
	for _, line := range []string{`{"action":"other","stream":"x"}`, `{"action":"connect"}`} {
		if _, err := ParseCallback([]byte(line)); !errors.Is(err, ErrInvalid) {
			t.Errorf("callback %s: %v", line, err)
		}
	}
	parse := func([]byte) (int, error) { return 0, nil }
	err := readLines(strings.NewReader(strings.Repeat("x", maxLine+1)), "name", parse, func(int) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("a line that is too long: %v", err)
	}
}

// roundTrip fails unless v is the same after being written and read.
func roundTrip[T any](t *testing.T, v T, parse func([]byte) (T, error)) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	second, err := json.Marshal(back)
	if err != nil || string(second) != string(text) {
		t.Fatalf("%s became %s, %v", text, second, err)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte(`{"g":1,"p":2,"t":3,"n":1,"b":5,"d":6,"id":"x","a":1,"end":true}`))
	f.Add([]byte(`{"k":"event","id":"x","g":1,"p":1,"t":2,"n":3}`))
	f.Add([]byte(`{"k":"topics","topics":[1,2]}`))
	f.Add([]byte(`{"action":"disconnect","stream":"ab","status":200,"sent":true,"redelivered":true,"reason":"error"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := ParseEvent(line); err == nil {
			roundTrip(t, e, ParseEvent)
		}
		if s, err := ParseObservation(line); err == nil {
			roundTrip(t, s, ParseObservation)
		}
		if c, err := ParseCallback(line); err == nil {
			roundTrip(t, c, ParseCallback)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add("1 2 3 4 ....")
	f.Add("1 2 3 04 ")
	f.Add("18446744073709551615 0 0 1 ")
	f.Fuzz(func(t *testing.T, data string) {
		if b, err := ParseBody(data); err == nil && b.Text(len(data)) != data {
			t.Errorf("%q was read as %+v", data, b)
		}
	})
}

func TestBodyIsPadded(t *testing.T) {
	t.Parallel()
	want := Body{Global: 1 << 40, Publisher: 3, Topic: 999, Number: 12}
	text := want.Text(100)
	if got, err := ParseBody(text); err != nil || got != want || len(text) != 100 {
		t.Errorf("%q (%d bytes) was read as %+v, %v", text, len(text), got, err)
	}
}

func TestClockIncreases(t *testing.T) {
	t.Parallel()
	var c Clock
	if a, b := c.Now(), c.Now(); a != 1 || b != 2 {
		t.Errorf("times %d, %d", a, b)
	}
}
