package taskstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// workerEnv makes the test binary a process that runs tasks: the URL of a server.
const workerEnv = "TIDETEST_TASK_WORKER"

// killOptions are those of every store in tests that kill: small, so that they are
// short.
var killOptions = Options{AckWait: 1500 * time.Millisecond, SweepInterval: time.Second}

// TestTaskWorkerProcess is the main function of the processes that
// TestKilledProcessesLoseNothing kills; by itself it does nothing.
func TestTaskWorkerProcess(t *testing.T) {
	url := os.Getenv(workerEnv)
	if url == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		os.Exit(1)
	}()
	e, err := nats.Open(t.Context(), nats.Options{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := task.New(task.Options{
		Publisher: remoteLog{e.Conn()}, Store: newTasks(t, e, killOptions), Workers: 4, RetryPause: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range killTypes(func(id string) error {
		_, err := e.Conn().Request("log.began", []byte(id), natstest.Patience)
		return err
	}) {
		if err := svc.Register(typ); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal(svc.Run(context.Background()))
}

// killTypes are the types of the test. Their functions tell first that they were begun.
func killTypes(began func(id string) error) []task.Type {
	steps := func(ctx context.Context, run *task.Run) (any, error) {
		if err := began(run.ID()); err != nil {
			return nil, err
		}
		for i := range 5 {
			if backoff.Wait(ctx, time.Duration(20+rand.IntN(100))*time.Millisecond) != nil {
				return nil, context.Cause(ctx)
			}
			if err := run.Progress(task.Progress{Text: fmt.Sprint("step ", i), Value: new(float64(i+1) / 5)}); err != nil {
				return nil, err
			}
		}
		return map[string]string{"id": run.ID()}, nil
	}
	return []task.Type{
		{Name: "once", Run: steps},
		{Name: "thrice", Run: steps, MaxAttempts: 3},
		{Name: "many", Run: steps, MaxAttempts: 100},
		{Name: "slow", Timeout: 200 * time.Millisecond, MaxAttempts: 2, Run: func(ctx context.Context, run *task.Run) (any, error) {
			if err := began(run.ID()); err != nil {
				return nil, err
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}},
	}
}

// remoteLog is a log of tasks in another process.
type remoteLog struct{ nc *natsgo.Conn }

type remoteBatch struct {
	ID     string
	Events []task.Event
}

func (l remoteLog) Publish(ctx context.Context, id string, events []task.Event) error {
	data, err := json.Marshal(remoteBatch{id, events})
	if err != nil {
		return err
	}
	_, err = l.nc.RequestWithContext(ctx, "log.append", data)
	return err
}

func (l remoteLog) Ended(ctx context.Context, id string) (terminal, closed bool, err error) {
	m, err := l.nc.RequestWithContext(ctx, "log.ended", []byte(id))
	if err != nil {
		return false, false, err
	}
	return m.Data[0] == 't', m.Data[1] == 't', nil
}

// serveLog gives a log to other processes, and counts how often tasks were begun.
func serveLog(t *testing.T, nc *natsgo.Conn, log *taskLog) (began func(id string) int) {
	t.Helper()
	var mu sync.Mutex
	counts := map[string]int{}
	for subject, handle := range map[string]func(data []byte) []byte{
		"log.append": func(data []byte) []byte {
			var b remoteBatch
			if err := json.Unmarshal(data, &b); err != nil {
				t.Errorf("batch of events: %v", err)
			}
			_ = log.Publish(t.Context(), b.ID, b.Events) // never fails
			return nil
		},
		"log.ended": func(data []byte) []byte {
			terminal, closed, _ := log.Ended(t.Context(), string(data)) // never fails
			return fmt.Appendf(nil, "%.1s%.1s", fmt.Sprint(terminal), fmt.Sprint(closed))
		},
		"log.began": func(data []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			counts[string(data)]++
			return nil
		},
	} {
		if _, err := nc.Subscribe(subject, func(m *natsgo.Msg) { _ = m.Respond(handle(m.Data)) }); err != nil {
			t.Fatal(err)
		}
	}
	return func(id string) int {
		mu.Lock()
		defer mu.Unlock()
		return counts[id]
	}
}

// childProcess is the test binary once more, as something that can be killed.
type childProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startProcess(t *testing.T, test, env string) *childProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &childProcess{cmd, stdin}
}

// kill ends a process as a power cut does.
func (p *childProcess) kill() {
	_ = p.cmd.Process.Kill() // SIGKILL; it is alive, or else it is what we want
	_ = p.cmd.Wait()
	_ = p.stdin.Close()
}
