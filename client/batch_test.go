package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tidegate/internal/wire"
)

func TestBatchesStayWithinTheGatewaysBounds(t *testing.T) {
	t.Parallel()
	var lines []int
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > maxBatchBytes {
			t.Errorf("batch of %d bytes", len(body))
		}
		n := bytes.Count(body, []byte("\n"))
		lines = append(lines, n)
		for range n {
			_, _ = io.WriteString(w, "{\"status\":\"ok\",\"code\":200}\n")
		}
	})
	big := strings.Repeat("x", 3<<20)
	messages := []Message{{Topic: "a", Event: &Event{Data: big}}, {Topic: "a", Event: &Event{Data: big}},
		{Topic: "a", Event: &Event{Data: big}}}
	for range maxBatchLines + 5 {
		messages = append(messages, Message{Topic: "a", Close: true})
	}
	results, err := c.SendBatch(t.Context(), messages)
	if err != nil || len(results) != len(messages) {
		t.Fatalf("SendBatch = %d results, %v", len(results), err)
	}
	if diff := cmp.Diff([]int{2, maxBatchLines, 6}, lines); diff != "" {
		t.Errorf("lines of each request: %s", diff)
	}
}

// TestARequestThatIsTooLargeIsSentInSmallerOnes, down to one message, whose result the
// refusal then is.
func TestARequestThatIsTooLargeIsSentInSmallerOnes(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > 1000 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_, _ = io.WriteString(w, "a proxy says so")
			return
		}
		for range bytes.Count(body, []byte("\n")) {
			_, _ = io.WriteString(w, "{\"status\":\"ok\",\"code\":200}\n")
		}
	})
	messages := make([]Message, 100)
	for i := range messages {
		messages[i] = Message{Topic: "a", Event: &Event{Data: "x"}}
	}
	messages[70].Event = &Event{Data: strings.Repeat("x", 2000)}
	results, err := c.SendBatch(t.Context(), messages)
	if err != nil || len(results) != len(messages) {
		t.Fatalf("SendBatch = %d results, %v", len(results), err)
	}
	for i, r := range results {
		if refused := r.Err() != nil; refused != (i == 70) {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	if e, ok := errors.AsType[*Error](results[70].Err()); !ok || e.Status != 413 || results[70].Code != 413 {
		t.Errorf("the large one: %+v", results[70])
	}
}

func TestBatchAnswersKeepOrderAndErrors(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"status":"ok","id":"1","receivers":2,"code":200}`+"\n"+
			`{"code":413,"error":{"message":"Body too large","code":"BODY_TOO_LARGE"}}`+"\n"+`{"code":500}`+"\n")
	})
	answers, err := c.SendBatch(t.Context(), []Message{{Topic: "a"}, {Topic: "b"}, {Topic: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	if answers[0].Err() != nil || *answers[0].Receivers != 2 {
		t.Errorf("first = %+v", answers[0])
	}
	if e, ok := errors.AsType[*Error](answers[1].Err()); !ok || e.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("second = %v", answers[1].Err())
	}
	if answers[2].Err() == nil {
		t.Error("third has no error")
	}
}

func TestBatchWithoutAnAnswerToEveryLineIsUnreachable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{\"code\":200}\n", "{\"code\":200}\nnonsense\n"} {
		c := dial(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		answers, err := c.SendBatch(t.Context(), []Message{{Topic: "a"}, {Topic: "b"}})
		if err == nil || len(answers) != 0 {
			t.Errorf("SendBatch answered %q = %v, %v", body, answers, err)
		}
	}
}

func TestBatchErrorLeavesTheAnswersBeforeIt(t *testing.T) {
	t.Parallel()
	requests := 0
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 2 {
			wire.WriteError(w, wire.Errorf(503, wire.CodeDraining, "Draining"))
			return
		}
		_, _ = fmt.Fprint(w, strings.Repeat("{\"code\":200}\n", maxBatchLines))
	})
	answers, err := c.SendBatch(t.Context(), make([]Message, maxBatchLines+1))
	if len(answers) != maxBatchLines || CodeOf(err) != CodeDraining {
		t.Errorf("SendBatch = %d answers, %v", len(answers), err)
	}
}

// TestLinesArePassedOnAsTheyAre, in both directions.
func TestLinesArePassedOnAsTheyAre(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	lines := [][]byte{[]byte(`{"topic":"a", "new":1}`), []byte("no JSON")}
	answers, err := c.SendLines(t.Context(), lines)
	if diff := cmp.Diff(lines, answers); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestAnAnswerThatIsCutIsNone(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"code":200}`) // net/http then closes the connection
	})
	if answers, err := c.SendLines(t.Context(), [][]byte{[]byte("{}")}); len(answers) > 0 || !errors.Is(err, ErrUnreachable) {
		t.Errorf("SendLines = %q, %v", answers, err)
	}
}
