package taskstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// waiting is a type that runs until its context ends.
var waiting = task.Type{Name: "waiting", Run: func(ctx context.Context, run *task.Run) (any, error) {
	if err := run.Progress(task.Progress{Text: "here", Value: new(0.5)}); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}}

// here waits until a waiting task runs.
func (l *taskLog) here(t testing.TB, id string) {
	t.Helper()
	l.waitFor(t, id, "running", func(log []task.Event) bool {
		return slices.ContainsFunc(log, func(ev task.Event) bool { return strings.Contains(string(ev.Data), `"text":"here"`) })
	})
}

func wantLog(t *testing.T, l *taskLog, id string, want ...string) {
	t.Helper()
	l.waitClosed(t, id)
	if got := l.names(id); !slices.Equal(got, want) {
		t.Errorf("log of the task:\n got %q\nwant %q", got, want)
	}
}

// waitState waits until a task is in a state. The list of a node follows by itself,
// and nothing reports that it has.
func waitState(t testing.TB, n *taskNode, id string, want task.State) {
	t.Helper()
	natstest.Eventually(t, fmt.Sprintf("task is %s", want), func() bool {
		info, err := n.Get(context.Background(), id)
		return err == nil && info.Status == want
	})
}
