package gateway_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
)

// slowBatch is an NDJSON request whose body is sent part by part.
type slowBatch struct {
	t      *testing.T
	body   *io.PipeWriter
	packed *gzip.Writer // nil for a plain body
	answer chan string  // gets the answer, or the error
}

func (r *rig) slowBatch(t *testing.T, packed bool) *slowBatch {
	t.Helper()
	body, in := io.Pipe()
	b := &slowBatch{t: t, body: in, answer: make(chan string, 1)}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.localhost/internal/send", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if packed {
		request.Header.Set("Content-Encoding", "gzip")
		b.packed = gzip.NewWriter(in)
	}
	var asking sync.WaitGroup
	asking.Go(func() { b.answer <- answerTo(r.api, request) })
	t.Cleanup(func() {
		_ = in.CloseWithError(context.Canceled) // a test that failed has not ended it
		asking.Wait()
	})
	return b
}

func answerTo(c *http.Client, request *http.Request) string {
	response, err := c.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// write sends a part of the body, which leaves at once.
func (b *slowBatch) write(part string) {
	b.t.Helper()
	var err error
	if b.packed == nil {
		_, err = io.WriteString(b.body, part)
	} else if _, err = io.WriteString(b.packed, part); err == nil {
		err = b.packed.Flush()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// end ends the body and waits for the answer.
func (b *slowBatch) end() string {
	if b.packed != nil {
		_ = b.packed.Close()
	}
	_ = b.body.Close()
	return <-b.answer
}

// TestASlowBatchHoldsNothingBack: while more of a batch is waited for, what was
// read of it has reached its stream, and so does what others send to that.
func TestASlowBatchHoldsNothingBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		blank string // lines behind the first two
		part  int    // bytes of the third line that come before the pause
	}{
		{"between lines", "", 0},
		{"behind blank lines", "\n \r\n\n", 0},
		{"within a line", "", 10},
		{"within a line behind blank ones", "\n\n", 10},
	} {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/packed=%v", tt.name, packed), func(t *testing.T) {
				t.Parallel()
				r := setup(t, sockets, nil)
				c, token := r.accepted("/x")
				if got := r.subscribe(token, `["task:1"]`); got.Status != http.StatusOK {
					t.Fatalf("subscribe: %d %s", got.Status, got.Body)
				}
				line := func(data string) string {
					return `{"token":` + quote(token) + `,"event":{"data":` + quote(data) + "}}\n"
				}

				b := r.slowBatch(t, packed)
				third := line("3")
				b.write(line("1") + line("2") + tt.blank + third[:tt.part])
				c.until("data: 2\n\n")
				r.mustSend(token, "other", "ok")
				c.until("data: other\n\n")
				id := r.publish("task:1", "topic")
				c.until("data: topic\n\n")
				b.write(third[tt.part:])
				c.until("data: 3\n\n")
				if got, want := b.end(), strings.Repeat(`{"status":"ok","code":200}`+"\n", 3); got != want {
					t.Errorf("answer\n got %q\nwant %q", got, want)
				}
				want := "data: 1\n\ndata: 2\n\ndata: other\n\nid: " + id + "\ndata: topic\n\ndata: 3\n\n"
				if _, got, _ := strings.Cut(c.text(), "\n\n"); got != want { // behind the block that says where it is
					t.Errorf("stream\n got %q\nwant %q", got, want)
				}
			})
		}
	}
}

// TestABatchThatIsThereLeavesInOneWrite is what it is held for.
func TestABatchThatIsThereLeavesInOneWrite(t *testing.T) {
	t.Parallel()
	var k stream.Simulation
	g := gateway.New(gateway.Options{
		Topics: topic.New(topic.Options{}), CallbackURL: callbackURL, Heartbeat: time.Hour,
		CallbackQueue: 1, CallbackRetention: time.Nanosecond, Transport: refusing{},
	})
	g.Simulate(&k)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	defer running.Wait()
	defer cancel()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway.localhost/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := g.OpenSimulated(&k, request)
	if err != nil {
		t.Fatal(err)
	}
	before := k.Writes.Load()
	const lines = 100
	line := `{"token":` + quote(token) + `,"event":{"data":"x"}}` + "\n"
	got := post(g.Internal(), "/internal/send", "application/x-ndjson", []byte(strings.Repeat(line, lines)))
	if n := strings.Count(got.Body.String(), `"code":200`); n != lines {
		t.Errorf("%d of %d lines were taken: %s", n, lines, got.Body)
	}
	if n := k.Writes.Load() - before; n != 1 {
		t.Errorf("%d writes for a batch that came in one piece, want 1", n)
	}
}

// refusing is a backend that cannot be reached.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrClosedPipe }
