package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// batch sends NDJSON and gives the answer's lines.
func (r *rig) batch(body string, headers ...string) (reply, []string) {
	r.t.Helper()
	got := r.call(http.MethodPost, "/internal/send", "application/x-ndjson", body, headers...)
	var lines []string
	for in := bufio.NewScanner(strings.NewReader(got.Body)); in.Scan(); {
		lines = append(lines, in.Text())
	}
	return got, lines
}

// TestBatchAnswersEachLine: in order, and one bad line spoils only itself.
func TestBatchAnswersEachLine(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody = 200 })
	c, token := r.accepted("/x")
	body := strings.Join([]string{
		`{"token":"` + token + `","event":{"data":"1"}}`,
		`not JSON`,
		``,
		`   `,
		`{"token":"` + token + `","event":{"data":"` + strings.Repeat("long", 100) + `"}}`,
		`{}`,
		`{` + tokenNone + `}`,
		"\t" + `{"token":"` + token + `","event":{"data":"2"}}` + " \r",
		`{"topic":"task:1","event":{"data":"3"}}`,
		`{"token":"` + token + `","event":{"data":"x","name":"a\nb"}}`,
		`{"token":"` + token + `","event":{"data":"4"},"close":true}`,
		`{"token":"` + token + `","event":{"data":"5"}}`, // the last line needs no line end
	}, "\n")
	got, lines := r.batch(body)
	if kind := got.Header.Get("Content-Type"); got.Status != 200 || kind != "application/x-ndjson" {
		t.Errorf("batch: %d %q, want 200 application/x-ndjson", got.Status, kind)
	}
	want := []string{"200 ok", "400 INVALID_JSON", "413 BODY_TOO_LARGE", "400 INVALID_TOKEN_MISSING", "404 TOKEN_NOT_FOUND",
		"200 ok", "200 ok", "400 INVALID_EVENT_NAME", "200 ok", "404 TOKEN_NOT_FOUND"}
	if outcomes := outcomesOf(t, lines); fmt.Sprint(outcomes) != fmt.Sprint(want) {
		t.Errorf("answers\n got %v\nwant %v", outcomes, want)
	}
	if first := `{"status":"ok","code":200}`; lines[0] != first {
		t.Errorf("first line %s, want %s", lines[0], first)
	}
	c.wantEnd("data: 1\n\ndata: 2\n\ndata: 4\n\n")
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
}

// outcomesOf sums answer lines up as "200 ok" or "400 CODE".
func outcomesOf(t *testing.T, lines []string) []string {
	t.Helper()
	var outcomes []string
	for _, line := range lines {
		var answer struct {
			Status, ID string
			Receivers  *int
			Code       int
			Error      *struct{ Message, Code string }
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&answer); err != nil {
			t.Fatalf("answer line %q: %v", line, err)
		}
		word := answer.Status
		if answer.Error != nil {
			word = answer.Error.Code
		}
		outcomes = append(outcomes, fmt.Sprint(answer.Code, " ", word))
	}
	return outcomes
}

func TestBatchBounds(t *testing.T) {
	t.Parallel()
	line := `{` + tokenNone + `}` + "\n"
	tests := []struct {
		name, body string
		answers    int
		last       string
	}{
		{"nothing", "", 0, ""},
		{"only blank lines", "\n\r\n  \n", 0, ""},
		{"most lines", strings.Repeat(line, gateway.MaxBatchLines), gateway.MaxBatchLines, "404 TOKEN_NOT_FOUND"},
		{"too many lines", strings.Repeat(line, gateway.MaxBatchLines+5), gateway.MaxBatchLines + 1, "413 BODY_TOO_LARGE"},
		{"blank lines do not count", strings.Repeat(line+"\n", gateway.MaxBatchLines), gateway.MaxBatchLines, "404 TOKEN_NOT_FOUND"},
	}
	r := setup(t, sockets, nil)
	for _, tt := range tests {
		got, lines := r.batch(tt.body)
		if got.Status != 200 || len(lines) != tt.answers {
			t.Errorf("%s: %d with %d answers, want 200 with %d", tt.name, got.Status, len(lines), tt.answers)
			continue
		}
		if tt.answers > 0 {
			if last := outcomesOf(t, lines[len(lines)-1:])[0]; last != tt.last {
				t.Errorf("%s: last answer %s, want %s", tt.name, last, tt.last)
			}
		}
	}
}

// TestBatchBytesAreBounded: by the length that is announced, at once; by what
// comes, or unpacks, with the messages before it taken.
func TestBatchBytesAreBounded(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody, o.MaxBatch = 100, 1000 })
	line := `{"topic":"task:1","event":{"data":"x"}}` + "\n"
	many := strings.Repeat(line, 50)
	got, _ := r.batch(many)
	wantError(t, "announced", got, 413, "BODY_TOO_LARGE")

	got, lines := r.batch(gzipped(many), "Content-Encoding", "gzip")
	outcomes := outcomesOf(t, lines)
	if got.Status != 200 || len(outcomes) != 1000/len(line)+1 {
		t.Fatalf("unpacked: %d with %d answers, want 200 with %d", got.Status, len(outcomes), 1000/len(line)+1)
	}
	if first, last := outcomes[0], outcomes[len(outcomes)-1]; first != "200 ok" || last != "413 BODY_TOO_LARGE" {
		t.Errorf("unpacked: first %s, last %s", first, last)
	}
	if info := r.get("/internal/topics/task:1"); !strings.Contains(info.Body, fmt.Sprintf(`"appended":%d`, 1000/len(line))) {
		t.Errorf("topic %s, want %d events", info.Body, 1000/len(line))
	}
	got, _ = r.batch("x", "Content-Encoding", "gzip")
	wantError(t, "not gzip", got, 400, "INVALID_JSON")
}

// TestBrokenBatchEndsWithAnAnswer: what came whole has been taken.
func TestBrokenBatchEndsWithAnAnswer(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	whole := gzipped(strings.Repeat(`{"topic":"task:1","event":{"data":"x"}}`+"\n", 1000))
	got, lines := r.batch(whole[:len(whole)-10], "Content-Encoding", "gzip")
	outcomes := outcomesOf(t, lines)
	if got.Status != 200 || outcomes[len(outcomes)-1] != "400 INVALID_JSON" {
		t.Errorf("cut body: %d, last answer %s, want 200 and 400 INVALID_JSON", got.Status, outcomes[len(outcomes)-1])
	}
}

func TestLongLineIsSkippedNotStored(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxBody = 1000 })
	long := `{"topic":"task:1","event":{"data":"` + strings.Repeat("x", 5<<20) + `"}}`
	short := `{"topic":"task:1","event":{"data":"x"}}`
	exact := `{"topic":"task:1","event":{"data":"` + strings.Repeat("x", 1000-len(short)+1) + `"}}`
	_, lines := r.batch(strings.Join([]string{short, long, short, exact, exact + " ", long}, "\n"))
	want := "[200 ok 413 BODY_TOO_LARGE 200 ok 200 ok 413 BODY_TOO_LARGE 413 BODY_TOO_LARGE]"
	if got := fmt.Sprint(outcomesOf(t, lines)); got != want {
		t.Errorf("answers\n got %s\nwant %s", got, want)
	}
}
