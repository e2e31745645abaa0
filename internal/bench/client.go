package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// benchCommand, clientCommand and a protocol are the arguments that this program is
	// started with to be a process of clients.
	benchCommand, clientCommand = "bench", "client"
	// clientMarker in the environment marks such a process.
	clientMarker = "TIDEGATE_BENCH_CLIENT=1"
)

// IsClient reports whether the program was started by [Run] to hold streams:
// by its arguments after "bench" and its environment. It has to call
// [RunClient] then.
func IsClient(args, env []string) bool {
	return len(args) == 2 && args[0] == clientCommand && slices.Contains(env, clientMarker)
}

// RunClient is the program in a process of clients: it takes commands, one a
// line, and answers each, until control ends. Args are those of [IsClient].
func RunClient(args []string, control io.Reader, replies io.Writer) error {
	p, err := newPool(args[1])
	if err != nil {
		return err
	}
	defer p.close()
	c := controller{pool: p, replies: json.NewEncoder(replies)}
	return c.run(control)
}

// pool holds the streams of one process. Its methods are called by one
// goroutine.
type pool interface {
	// watch names the file that commands come from, before the first poll.
	watch(control io.Reader) error
	// poll serves streams until something has happened or patience ends;
	// negative patience does not end. It returns what has come from control,
	// valid until the next call. The error is io.EOF when control has ended, or
	// says what is broken.
	poll(patience time.Duration) (input []byte, err error)
	open(cmd command) error // begins to open streams, or to churn; poll goes on with it
	opened() (done int, all bool, elapsed time.Duration)
	received() (events, last int64) // how many have come, and when the last was read
	stall(every int) error          // stops reading one stream of so many
	resetLatencies()                // starts a new count of latencies
	report(sent []int64) reply
	closeAll()
	close() // closes everything
}

func newPool(protocol string) (pool, error) {
	if protocol == protocolHTTP1 {
		return newEpollPool()
	}
	return newHTTPPool(protocol), nil
}

// controller joins the commands that come in to the pool's one loop.
type controller struct {
	pool    pool
	replies *json.Encoder
	input   []byte // commands, the last perhaps not complete

	// What current, while busy, has reached, and until when more must come.
	busy    bool
	current command
	reached int64
	until   time.Time
}

// run serves streams and commands until control ends.
func (c *controller) run(control io.Reader) error {
	if err := c.pool.watch(control); err != nil {
		return err
	}
	for {
		input, err := c.pool.poll(c.patience())
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			// The reply reports the error.
			return c.reply(reply{Error: err.Error()})
		}
		if c.busy {
			if err := c.advance(); err != nil {
				return err
			}
		}
		if err := c.take(input); err != nil {
			return err
		}
	}
}

// patience is how long the pool may wait for something to happen.
func (c *controller) patience() time.Duration {
	if !c.busy {
		return -1
	}
	return max(0, time.Until(c.until))
}

const maxInput = 64 << 20 // a report may list what each stream was sent

// take begins the commands that input completes.
func (c *controller) take(input []byte) error {
	c.input = append(c.input, input...)
	for {
		line, rest, whole := bytes.Cut(c.input, []byte{'\n'})
		if !whole {
			if len(c.input) > maxInput {
				return errors.New("a command is too long")
			}
			return nil
		}
		var cmd command
		if err := json.Unmarshal(line, &cmd); err != nil {
			return fmt.Errorf("read command: %w", err)
		}
		c.input = rest
		if err := c.begin(cmd); err != nil {
			return err
		}
	}
}

// begin does a command, or the start of it.
func (c *controller) begin(cmd command) error {
	switch cmd.Do {
	case doOpen, doChurn:
		if err := c.pool.open(cmd); err != nil {
			return c.reply(reply{Error: err.Error()})
		}
	case doAwait:
	case doReport:
		return c.reply(c.pool.report(cmd.Sent))
	case doReset:
		c.pool.resetLatencies()
		return c.reply(reply{})
	case doStall:
		if err := c.pool.stall(cmd.Every); err != nil {
			return c.reply(reply{Error: err.Error()})
		}
		return c.reply(reply{})
	case doClose:
		c.pool.closeAll()
		return c.reply(reply{})
	default:
		return fmt.Errorf("unknown command %q", cmd.Do)
	}
	c.busy, c.current, c.reached, c.until = true, cmd, 0, time.Now().Add(cmd.Patience)
	return c.advance()
}

// advance answers the current command if it is done, or nothing more comes.
func (c *controller) advance() error {
	r, done := c.progress()
	if reached := r.Events + int64(r.Done); reached > c.reached {
		c.reached, c.until = reached, time.Now().Add(c.current.Patience)
	}
	if !done && time.Now().Before(c.until) {
		return nil
	}
	r.Late = !done
	c.busy = false
	return c.reply(r)
}

func (c *controller) progress() (r reply, done bool) {
	if c.current.Do == doAwait {
		r.Events, r.Last = c.pool.received()
		return r, r.Events >= c.current.Events
	}
	r.Done, done, r.Elapsed = c.pool.opened()
	return r, done
}

func (c *controller) reply(r reply) error {
	if err := c.replies.Encode(r); err != nil {
		return fmt.Errorf("send reply: %w", err)
	}
	return nil
}
