package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// clientMain is the program in a process of clients: it takes commands, one a
// line, and answers each, until control ends. It returns the exit code.
func clientMain(control *os.File, replies io.Writer, stderr io.Writer) int {
	p, err := newPool()
	if err == nil {
		defer p.close()
		c := controller{pool: p, control: control, replies: json.NewEncoder(replies)}
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench client:", err)
		return exitError
	}
	return exitOK
}

// controller joins the commands that come in to the pool's one loop.
type controller struct {
	pool    *pool
	control *os.File
	replies *json.Encoder
	input   []byte // commands, the last perhaps not complete

	// What current, while busy, has reached, and until when more must come.
	busy    bool
	current command
	reached int64
	until   time.Time
}

// run serves streams and commands until control ends.
func (c *controller) run() error {
	if err := c.pool.watch(int(c.control.Fd())); err != nil {
		return err
	}
	for {
		readable, err := c.pool.poll(c.patience())
		if err != nil {
			// What is broken is told to whoever is waiting for it.
			return c.reply(reply{Error: err.Error()})
		}
		if c.busy {
			if err := c.advance(); err != nil {
				return err
			}
		}
		if !readable {
			continue
		}
		if err := c.readCommands(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
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

func (c *controller) readCommands() error {
	var buf [64 << 10]byte
	n, err := c.control.Read(buf[:])
	if err != nil {
		return err
	}
	c.input = append(c.input, buf[:n]...)
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
	case doForget:
		c.pool.forget()
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
