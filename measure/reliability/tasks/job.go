package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// started is a task whose start the server has answered.
type started struct {
	id      string
	kind    string
	watched *watch // nil if nobody watches it
}

// job is one run against one deployment.
type job struct {
	opts     options
	tasks    []string // base URLs that accept POST /api/tasks
	public   []string // base URLs that serve streams
	client   *http.Client
	attempts atomic.Int64
	report   *report
}

func newJob(o options, tasks, public []string) *job {
	transport := &http.Transport{MaxIdleConnsPerHost: starters}
	return &job{
		opts: o, tasks: tasks, public: public, report: &report{allowResets: o.resets},
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}
}

func (j *job) close() { j.client.CloseIdleConnections() }

const (
	starters = 8  // concurrent starters of tasks
	readers  = 32 // concurrent readers of logs
)

// work starts the tasks, waits for stop and for the tasks to end, and judges them.
func (j *job) work(ctx context.Context, stop <-chan struct{}) error {
	following, leave := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer leave()
	all, err := j.startAll(ctx, stop, func(s *started) {
		s.watched = newWatch(s.id)
		watching.Go(func() { s.watched.follow(following, j.public) })
	})
	if err != nil {
		return err
	}
	select {
	case <-stop:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	settle, cancel := context.WithTimeout(ctx, j.opts.settle)
	defer cancel()
	if err := j.waitFinal(settle, all); err != nil {
		return err
	}
	j.waitForWatchers(settle, all)
	leave()
	watching.Wait()
	j.report.attempts = int(j.attempts.Load())
	return j.judge(ctx, all)
}

// startAll spreads the starts of tasks over the plan. It does not know when stop comes,
// so its pauses fit the mean length of the plan.
func (j *job) startAll(ctx context.Context, stop <-chan struct{}, watch func(*started)) ([]*started, error) {
	expected := time.Duration(j.opts.plan.Rounds) * j.opts.plan.Mean
	pause := expected * starters / time.Duration(j.opts.tasks)
	var mu sync.Mutex
	var all []*started
	group, ctx := errgroup.WithContext(ctx)
	for s := range starters {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(j.opts.plan.Seed, uint64(s)))
			for n := s; n < j.opts.tasks; n += starters {
				task, err := j.start(ctx, random, n)
				if err != nil {
					return err
				}
				if n < j.opts.watch {
					watch(task)
				}
				mu.Lock()
				all = append(all, task)
				mu.Unlock()
				if err := waitOr(ctx, stop, pause); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all, group.Wait()
}

// start starts one task at the first server that accepts it. If an answer is lost, the
// server may have started another task, which nobody judges.
func (j *job) start(ctx context.Context, random *rand.Rand, n int) (*started, error) {
	s := &started{kind: "demo_task"}
	params := map[string]any{"message": fmt.Sprint("task ", n), "steps": 1 + random.IntN(5), "delay": random.Float64() * j.opts.delay.Seconds()}
	if n%5 == 4 {
		s.kind = "failing_task"
		params = map[string]any{"error_message": fmt.Sprint("task ", n), "delay": params["delay"]}
	}
	body, err := json.Marshal(map[string]any{"type": s.kind, "params": params})
	if err != nil {
		return nil, err
	}
	var answer struct {
		ID string `json:"task_id"`
	}
	err = retry(ctx, func(attempt int) error {
		j.attempts.Add(1)
		return j.do(ctx, http.MethodPost, j.tasks[(n+attempt)%len(j.tasks)]+"/api/tasks", body, http.StatusAccepted, &answer)
	})
	if err == nil && answer.ID == "" {
		err = errors.New("the answer is 202 but has no task_id")
	}
	if err != nil {
		return nil, fmt.Errorf("start a task: %w", err)
	}
	s.id = answer.ID
	return s, nil
}

// waitFinal waits until all tasks are final, or ctx ends.
func (j *job) waitFinal(ctx context.Context, all []*started) error {
	open := map[string]bool{}
	for _, s := range all {
		open[s.id] = true
	}
	for len(open) > 0 {
		for id := range open {
			info, err := j.show(ctx, j.tasks[0], id)
			if ctx.Err() != nil {
				return nil // judge reports each task that is not final
			}
			if err != nil {
				return fmt.Errorf("status of a task: %w", err)
			}
			if info.final() || info.missing {
				delete(open, id)
				continue
			}
			if !sleep(ctx, 50*time.Millisecond) {
				return nil
			}
		}
	}
	return nil
}

// info is the answer of GET /api/tasks/{id}.
type info struct {
	ID      string  `json:"task_id"`
	Kind    string  `json:"type"`
	Status  string  `json:"status"`
	Error   *string `json:"error"`
	missing bool    // the answer was 404
}

func (i info) final() bool {
	return i.Status == "completed" || i.Status == "failed" || i.Status == "cancelled"
}

// show asks for one task and retries while the server cannot answer.
func (j *job) show(ctx context.Context, base, id string) (i info, err error) {
	err = retry(ctx, func(int) error {
		err := j.do(ctx, http.MethodGet, base+"/api/tasks/"+url.PathEscape(id), nil, http.StatusOK, &i)
		if r, ok := errors.AsType[*permanentError](err); ok && r.status == http.StatusNotFound {
			i.missing, err = true, nil
		}
		return err
	})
	return i, err
}

// list asks for all tasks, page by page.
func (j *job) list(ctx context.Context, base string) (all map[string][]info, err error) {
	all = map[string][]info{}
	for after := ""; ; {
		var page struct {
			Tasks []info
			Next  string
		}
		err := retry(ctx, func(int) error {
			return j.do(ctx, http.MethodGet, base+"/api/tasks?limit=1000&after="+url.QueryEscape(after), nil, http.StatusOK, &page)
		})
		if err != nil {
			return nil, fmt.Errorf("list of tasks: %w", err)
		}
		for _, i := range page.Tasks {
			all[i.ID] = append(all[i.ID], i)
		}
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// permanentError is an answer that a retry does not change.
type permanentError struct {
	status int
	text   string
}

func (r *permanentError) Error() string {
	return fmt.Sprintf("the server answered %d: %.200s", r.status, r.text)
}

// do sends one request. A [*permanentError] is final.
func (j *job) do(ctx context.Context, method, url string, body []byte, want int, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := j.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	switch {
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	case response.StatusCode == want:
		return json.Unmarshal(text, into)
	case response.StatusCode >= 500, response.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%d: %.200s", response.StatusCode, text)
	default:
		return &permanentError{response.StatusCode, string(text)}
	}
}

// retry calls do until it succeeds, fails permanently, or ctx ends.
func retry(ctx context.Context, do func(attempt int) error) error {
	for attempt := 0; ; attempt++ {
		err := do(attempt)
		if _, permanent := errors.AsType[*permanentError](err); err == nil || permanent {
			return err
		}
		if !sleep(ctx, min(10*time.Millisecond<<min(attempt, 6), 500*time.Millisecond)) {
			return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), err)
		}
	}
}

// sleep waits for d and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool { return waitOr(ctx, nil, d) == nil }

// waitOr waits for d or until stop is closed. It returns an error if ctx ends first.
func waitOr(ctx context.Context, stop <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
