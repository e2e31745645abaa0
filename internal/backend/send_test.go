package backend

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
	big := strings.Repeat("x", 6<<20)
	messages := []Message{{Topic: "a", Event: &Event{Data: big}}, {Topic: "a", Event: &Event{Data: big}},
		{Topic: "a", Event: &Event{Data: big}}, {Topic: "a", Event: &Event{Data: strings.Repeat("x", maxBatchBytes)}}}
	for range maxBatchLines + 5 {
		messages = append(messages, Message{Topic: "a"})
	}
	answers, err := c.SendBatch(t.Context(), messages)
	if err != nil || len(answers) != len(messages) {
		t.Fatalf("SendBatch = %d answers, %v", len(answers), err)
	}
	if diff := cmp.Diff([]int{2, 1, maxBatchLines, 5}, lines); diff != "" {
		t.Errorf("lines of each batch: %s", diff)
	}
	for i, a := range answers {
		if tooLarge := isCode(answerError(a), wire.CodeBodyTooLarge); tooLarge != (i == 3) {
			t.Errorf("answer %d: %+v", i, a)
		}
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
	if answerError(answers[0]) != nil || *answers[0].Receivers != 2 {
		t.Errorf("first = %+v", answers[0])
	}
	if e, ok := errors.AsType[*wire.Error](answerError(answers[1])); !ok || e.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("second = %v", answerError(answers[1]))
	}
	if answerError(answers[2]) == nil {
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
	if len(answers) != maxBatchLines || !isCode(err, wire.CodeDraining) {
		t.Errorf("SendBatch = %d answers, %v", len(answers), err)
	}
}
