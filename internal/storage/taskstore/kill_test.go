package taskstore

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// TestKilledProcessesLoseNothing kills processes that run tasks again and again,
// while tasks are cancelled and time out. Every task must end. Its log must have each
// event once and in order. No task may begin more often than allowed.
func TestKilledProcessesLoseNothing(t *testing.T) {
	t.Parallel()
	const tasks, workers = 240, 3
	url := natstest.StartServer(t)
	e, err := nats.Open(t.Context(), nats.Options{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	log := newTaskLog()
	log.open = true
	began := serveLog(t, e.Conn(), log)

	// The service here takes the tasks and runs a few of them.
	types := killTypes(func(id string) error {
		_, err := e.Conn().Request("log.began", []byte(id), natstest.Patience)
		return err
	})
	n := serveTasks(t, newTasks(t, e, killOptions), task.Options{Publisher: remoteLog{e.Conn()}, Workers: 1, RetryPause: 100 * time.Millisecond}, types...)
	most := map[string]int{}
	for _, typ := range types {
		most[typ.Name] = max(typ.MaxAttempts, 1)
	}

	stop, kills := killWorkers(t, url, workers)
	rng := rand.New(rand.NewPCG(1, 2))
	var ids []string
	typeOf := map[string]string{}
	for i := range tasks {
		typ := types[i%3].Name
		if i%20 == 0 {
			typ = "slow"
		}
		id := n.start(t, typ, "")
		ids, typeOf[id] = append(ids, id), typ
		_ = backoff.Wait(t.Context(), time.Duration(rng.IntN(20))*time.Millisecond)
		if i%10 == 9 {
			id := ids[max(0, i-rng.IntN(40))]
			if err := n.Cancel(t.Context(), id); err != nil && !errors.Is(err, task.ErrNotFound) {
				t.Errorf("Cancel() = %v", err)
			}
		}
	}
	for _, id := range ids {
		log.waitClosed(t, id)
	}
	close(stop)

	ends, repeated := map[task.State]int{}, 0
	for _, id := range ids {
		rec, err := n.store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		checkEnded(t, log.of(id), rec)
		if got := began(id); got > most[typeOf[id]] {
			t.Errorf("%s: a function was begun %d times, may be %d", typeOf[id], got, most[typeOf[id]])
		}
		if rec.Attempt > most[rec.Type] {
			t.Errorf("%s: attempt %d, may be %d", rec.Type, rec.Attempt, most[rec.Type])
		}
		if rec.Run > 1 {
			repeated++
		}
		ends[rec.State]++
	}
	natstest.Eventually(t, "the list agrees", func() bool { return n.Counts()[task.Running]+n.Counts()[task.Pending] == 0 })
	t.Logf("%d kills; %v; %d begun more than once", <-kills, ends, repeated)
	if ends[task.Completed] < tasks/4 || ends[task.Cancelled] < tasks/40 || repeated == 0 {
		t.Errorf("too little happened: %v, %d begun more than once", ends, repeated)
	}
}

// killWorkers keeps workers at work, and kills one every now and then until stop
// is closed. Then it kills all and reports how many there were.
func killWorkers(t *testing.T, url string, n int) (stop chan struct{}, kills <-chan int) {
	t.Helper()
	stop = make(chan struct{})
	killed := make(chan int, 1)
	all := make([]*childProcess, n)
	start := func(i int) { all[i] = startProcess(t, "TestTaskWorkerProcess", workerEnv+"="+url) }
	for i := range all {
		start(i)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		count := 0
		tick := time.NewTicker(350 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				i := rand.IntN(n)
				all[i].kill()
				start(i)
				count++
			case <-stop:
				for _, w := range all {
					w.kill()
				}
				killed <- count
				return
			}
		}
	})
	t.Cleanup(func() {
		select {
		case <-stop:
		default:
			close(stop)
		}
		wg.Wait()
	})
	return stop, killed
}

// TestAKilledServerLosesNothing kills the server again and again while tasks run.
func TestAKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	const tasks, kills = 120, 4
	s := natstest.NewProcess(t, "server")
	s.Start(t)
	log := newTaskLog()
	log.open = true
	var mu sync.Mutex
	counts := map[string]int{}
	types := killTypes(func(id string) error {
		mu.Lock()
		defer mu.Unlock()
		counts[id]++
		return nil
	})
	var nodes []*taskNode
	for range 2 {
		e, err := nats.Open(t.Context(), nats.Options{URLs: []string{s.URL()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		nodes = append(nodes, serveTasks(t, newTasks(t, e, killOptions), task.Options{Publisher: log, RetryPause: 100 * time.Millisecond}, types[:3]...))
	}
	var ids []string
	for len(ids) < tasks {
		info, err := nodes[len(ids)%2].Start(t.Context(), types[len(ids)%3].Name, nil)
		if err == nil {
			ids = append(ids, info.ID)
		} else if !errors.Is(err, task.ErrUnavailable) {
			t.Fatal(err)
		} else {
			_ = backoff.Wait(t.Context(), 50*time.Millisecond)
		}
		if len(ids)%(tasks/kills) == tasks/kills/2 && err == nil {
			s.Kill()
			s.Start(t)
		}
	}
	unknown := 0 // begun after all, although Start said that the store was away
	for _, id := range ids {
		log.waitClosed(t, id)
		rec, err := nodes[0].store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		checkEnded(t, log.of(id), rec)
		mu.Lock()
		if rec.MaxAttempts == 1 && counts[id] > 1 {
			t.Errorf("a task that may be begun once was begun %d times", counts[id])
		}
		if rec.State != task.Completed && rec.Error != workerLostText {
			t.Errorf("%s: task is %s, %q", rec.Type, rec.State, rec.Error)
		}
		mu.Unlock()
	}
	for _, n := range nodes {
		natstest.Eventually(t, "all is over", func() bool { return n.Counts()[task.Running]+n.Counts()[task.Pending] == 0 })
		unknown = n.Counts()[task.Completed] + n.Counts()[task.Failed] - tasks
	}
	t.Logf("%d tasks more were stored than Start reported", unknown)
}

// workerLostText is what a task fails with whose worker could not renew its lease.
const workerLostText = "worker_lost: the process that ran the task is gone"

// checkEnded fails unless a log is the one of a task that ended as its record says.
func checkEnded(t *testing.T, log []task.Event, rec task.Record) {
	t.Helper()
	var names []string
	retried := 0
	for _, ev := range log {
		switch name := eventName(ev); name {
		case "progress_update":
		case "task_retrying":
			retried++
		default:
			names = append(names, name)
		}
	}
	if retried > max(rec.Run-1, 0) {
		t.Errorf("task %s: log has %d times task_retrying after %d runs", rec.ID, retried, rec.Run)
	}
	want := []string{"task_" + string(rec.State), "close task_" + string(rec.State)}
	if !rec.Started.IsZero() {
		want = slices.Insert(want, 0, "task_started")
	}
	if !slices.Equal(names, want) {
		t.Errorf("task %s (%s, run %d, %s): log has %q, want %q and progress", rec.ID, rec.Type, rec.Run, rec.Error, names, want)
	}
	if n := len(log); n < 2 || !log[n-1].Close || !isTerminal(log[n-2]) {
		t.Errorf("task %s: log does not end with its last events", rec.ID)
	}
}
