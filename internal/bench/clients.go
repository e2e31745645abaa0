package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// clients are the processes that hold the streams. They are separate because one process may not have
// enough descriptors, and so that the CPU of reading is measured apart. Not for concurrent use.
type clients struct {
	processes   []*clientProcess
	opened      int           // streams; their ids are those from 0 on
	patience    time.Duration // of open, churn and await: without any progress
	connStreams int
}

// clientProcess is one of them, and the pipes to it.
type clientProcess struct {
	cmd     *exec.Cmd
	control io.WriteCloser
	out     *json.Encoder
	in      *json.Decoder
	ids     []int // of its streams, rising
}

// startClients starts as many processes as the streams need. They end with
// ctx, or with stop.
func startClients(ctx context.Context, opts *Options, stderr io.Writer) (*clients, error) {
	limit, err := fileLimit()
	if err != nil {
		return nil, err
	}
	if limit < 2*clientSpare {
		return nil, fmt.Errorf("a process may have only %d open files; raise it with ulimit -n", limit)
	}
	c := &clients{patience: opts.Patience, connStreams: opts.ConnStreams}
	each := limit - clientSpare
	for range (opts.Streams + each - 1) / each {
		p, err := startClient(ctx, opts, stderr)
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		c.processes = append(c.processes, p)
	}
	return c, nil
}

func startClient(ctx context.Context, opts *Options, stderr io.Writer) (*clientProcess, error) {
	p := &clientProcess{cmd: exec.CommandContext(ctx, opts.Self, benchCommand, clientCommand, opts.Protocol)}
	p.cmd.Env = append(os.Environ(), clientMarker)
	p.cmd.Stderr = stderr
	var err error
	if p.control, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out, p.in = json.NewEncoder(p.control), json.NewDecoder(stdout)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process of clients: %w", err)
	}
	return p, nil
}

// stop ends the processes and waits for them.
func (c *clients) stop() error {
	var errs []error
	for _, p := range c.processes {
		_ = p.control.Close() // ends it
	}
	for _, p := range c.processes {
		if err := p.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("process of clients: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c *clients) pids() []int {
	var pids []int
	for _, p := range c.processes {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
}

// all sends every process the command that commandFor makes for it, and waits for
// all replies.
func (c *clients) all(commandFor func(i int, p *clientProcess) command) ([]reply, error) {
	for i, p := range c.processes {
		cmd := commandFor(i, p)
		cmd.Patience = c.patience
		if err := p.out.Encode(cmd); err != nil {
			return nil, fmt.Errorf("send to a process of clients: %w", err)
		}
	}
	replies := make([]reply, len(c.processes))
	for i, p := range c.processes {
		if err := p.in.Decode(&replies[i]); err != nil {
			return nil, fmt.Errorf("a process of clients broke off: %w", err)
		}
		if replies[i].Error != "" {
			return nil, errors.New(replies[i].Error)
		}
	}
	return replies, nil
}

// open opens count more streams, and returns how long it took until the last
// had its headers.
func (c *clients) open(d endpoint, count, window int) (time.Duration, error) {
	took, err := c.distribute(doOpen, d, c.opened, count, window)
	c.opened += count
	return took, err
}

// churn has count clients open a stream each and close it at once. Their ids
// are those from first on.
func (c *clients) churn(d endpoint, first, count, window int) (time.Duration, error) {
	return c.distribute(doChurn, d, first, count, window)
}

func (c *clients) distribute(do string, d endpoint, from, count, window int) (time.Duration, error) {
	shares := len(c.processes)
	replies, err := c.all(func(i int, p *clientProcess) command {
		first, end := from+count*i/shares, from+count*(i+1)/shares
		if do == doOpen {
			for id := first; id < end; id++ {
				p.ids = append(p.ids, id)
			}
		}
		return command{Do: do, Endpoint: d, First: first, Count: end - first, Window: max(1, window/shares), ConnStreams: c.connStreams}
	})
	var took time.Duration
	done := 0
	for _, r := range replies {
		took = max(took, r.Elapsed)
		done += r.Done
	}
	if err == nil && done < count {
		err = fmt.Errorf("only %d of %d streams were opened, and for %v no more", done, count, c.patience)
	}
	return took, err
}

// sent is how many events were sent to each stream since it was opened.
type sent struct {
	each    int64
	byID    []int64       // if they are not the same for all
	stalled map[int]int64 // by id: how many there were when the stream was no longer read
}

// to returns what was sent to the streams with these ids: one number if it is the
// same for all that are read, or one for each; and how many events are to have
// come.
func (s sent) to(ids []int) (list []int64, sum int64) {
	if s.byID != nil {
		list = make([]int64, len(ids))
		for i, id := range ids {
			list[i] = s.byID[id]
			sum += list[i]
		}
		return list, sum
	}
	if len(s.stalled) == 0 {
		return []int64{s.each}, s.each * int64(len(ids))
	}
	for _, id := range ids {
		n, stalled := s.stalled[id]
		if !stalled {
			n = s.each
		}
		sum += n
	}
	return []int64{s.each}, sum
}

// errUndelivered says that events are missing. report names them.
var errUndelivered = errors.New("not all events were delivered")

// await waits until all streams have what was sent, and returns when the last
// event was read. It returns errUndelivered if no more comes.
func (c *clients) await(s sent) (last int64, err error) {
	replies, err := c.all(func(_ int, p *clientProcess) command {
		_, sum := s.to(p.ids)
		return command{Do: doAwait, Events: sum}
	})
	for _, r := range replies {
		last = max(last, r.Last)
		if r.Late {
			err = errUndelivered
		}
	}
	return last, err
}

// report checks what all streams got against what was sent.
func (c *clients) report(s sent) (sum reply, err error) {
	replies, err := c.all(func(_ int, p *clientProcess) command {
		list, _ := s.to(p.ids)
		return command{Do: doReport, Sent: list}
	})
	for _, r := range replies {
		sum.Events += r.Events
		sum.Beats += r.Beats
		sum.Faults.add(r.Faults)
		sum.Samples = append(sum.Samples, r.Samples...)
		sum.Latency.merge(r.Latency)
	}
	return sum, err
}

// stall stops reading one of every so many streams of a process, and returns their
// ids. They are no longer expected to get all events.
func (c *clients) stall(every int) (ids []int, err error) {
	for _, p := range c.processes {
		for i := every - 1; i < len(p.ids); i += every {
			ids = append(ids, p.ids[i])
		}
	}
	return ids, c.send(command{Do: doStall, Every: every})
}

// resetLatencies starts a new count of latencies.
func (c *clients) resetLatencies() error { return c.send(command{Do: doReset}) }

// leave closes all streams.
func (c *clients) leave() error { return c.send(command{Do: doClose}) }

func (c *clients) send(cmd command) error {
	_, err := c.all(func(int, *clientProcess) command { return cmd })
	return err
}
