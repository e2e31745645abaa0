package taskstore

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tidegate/task"
)

// fullRecord has every field set.
func fullRecord() task.Record {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	return task.Record{
		ID: "id", Type: "type", Params: json.RawMessage(`{"a":"<>&"}`), Seq: 7, Revision: 9, State: task.Running,
		Run: 3, Attempt: 2, MaxAttempts: 4, Worker: "w", Cancel: true, Deadline: at,
		Progress:   &task.ProgressInfo{Text: "t", Value: 0.5, Data: json.RawMessage(`{"text":"t","value":0.5,"x":1}`)},
		ProgressAt: at, Result: json.RawMessage(`[1,2.50,"<>&"]`), Error: "e", Created: at, Started: at, Ended: at, Retention: time.Hour,
	}
}

func TestARecordSurvivesBeingStored(t *testing.T) {
	t.Parallel()
	want := fullRecord()
	payload, parts, objects, err := encodeTask(want, 1<<20)
	if err != nil || len(objects) != 0 {
		t.Fatalf("%d objects, error %v", len(objects), err)
	}
	got, gotParts, err := decodeTask("id", 9, payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || parts != gotParts {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	first := task.Record{ID: "id", Type: "t", State: task.Pending, MaxAttempts: 1}
	if payload, _, _, err = encodeTask(first, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got, _, err = decodeTask("id", 5, payload); err != nil || got.Seq != 5 || got.Revision != 5 {
		t.Errorf("first version has Seq %d, Revision %d, error %v; want 5", got.Seq, got.Revision, err)
	}
}

func TestLargePartsOfARecordAreObjects(t *testing.T) {
	t.Parallel()
	rec := fullRecord()
	rec.Params, rec.Result, rec.Error = json.RawMessage(`"`+strings.Repeat("p", 2000)+`"`), json.RawMessage(`"`+strings.Repeat("r", 2000)+`"`), strings.Repeat("e", 2000)
	rec.Progress.Text = strings.Repeat("é", 2000)
	rec.Progress.Data, _ = json.Marshal(map[string]any{"text": rec.Progress.Text, "value": 0.5})
	payload, parts, objects, err := encodeTask(rec, 1000)
	if err != nil || len(objects) != 3 || len(payload) > 3000 {
		t.Fatalf("%d objects, %d bytes, error %v", len(objects), len(payload), err)
	}
	got, gotParts, err := decodeTask("id", 9, payload)
	if err != nil || gotParts != parts {
		t.Fatalf("parts are %v, want %v, error %v", gotParts, parts, err)
	}
	if diff := cmp.Diff(rec, got, cmpopts.IgnoreFields(task.Record{}, "Params", "Result", "Error", "Progress")); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(rec.Progress.Text, got.Progress.Text) || got.Progress.Value != 0.5 || !strings.Contains(string(got.Progress.Data), `"truncated":true`) {
		t.Errorf("progress is %s", got.Progress.Data)
	}
	for _, name := range []string{parts.Params, parts.Result, parts.Error} {
		if !regexp.MustCompile(`^id\.(params|result|error)\.[0-9a-f]{16}$`).MatchString(name) {
			t.Errorf("object is called %q", name)
		}
	}
}

// TestAnErrorIsMeasuredAsItIsStored has errors that are short, but long in JSON.
func TestAnErrorIsMeasuredAsItIsStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		aside bool
	}{
		"plain":          {strings.Repeat("<", 997), false},
		"too long":       {strings.Repeat("x", 1001), true},
		"control bytes":  {strings.Repeat("\x01", 500), true},
		"no text at all": {strings.Repeat("\xff", 500), true},
		"few of them":    {strings.Repeat("\x01", 100), false},
	} {
		payload, parts, objects, err := encodeTask(task.Record{ID: "id", State: task.Failed, Error: c.text}, 1000)
		if err != nil || len(payload) > 1300 || (parts.Error != "") != c.aside {
			t.Errorf("%s: record has %d bytes, its error aside: %v, want %v; error %v", name, len(payload), parts.Error != "", c.aside, err)
		}
		if c.aside && (len(objects) != 1 || string(objects[0].data) != c.text) {
			t.Errorf("%s: %d objects, want one with the text as it was", name, len(objects))
		}
	}
}

func FuzzDecodeTask(f *testing.F) {
	payload, _, _, err := encodeTask(fullRecord(), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(payload), `{}`, `{"progress":7}`, `[]`, ``, `{"state":"pending","created":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		rec, _, err := decodeTask("id", 1, payload)
		if err != nil {
			return
		}
		again, _, _, err := encodeTask(rec, 1<<20)
		if err != nil {
			return // a time beyond the year 9999, which nobody writes
		}
		if _, _, err := decodeTask("id", 1, again); err != nil {
			t.Errorf("%s is stored as %s: %v", payload, again, err)
		}
	})
}

func FuzzPlainToken(f *testing.F) {
	for _, s := range []string{"plain_1:-", "", "a.b", "=", "*", ">", "é", strings.Repeat("x", 129)} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^=?[A-Za-z0-9_:-]*$`)
	f.Fuzz(func(t *testing.T, s string) {
		token := plainToken(s)
		if token == "" || !form.MatchString(token) {
			t.Errorf("plainToken(%q) = %q, which is no part of a subject", s, token)
		}
		if again := plainToken(token); token != s && again == token {
			t.Errorf("plainToken(%q) = %q, which stands for itself, too", s, token)
		}
	})
}
