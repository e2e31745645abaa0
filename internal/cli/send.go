package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/socket"
	"tidegate/internal/terminal"
	"tidegate/internal/version"
)

func sendManual() manual {
	return manual{
		usage: []string{
			"tidegate send (--token TOKEN | --topic TOPIC) [DATA] [--flag value …]",
			"tidegate send -",
		},
		about: `Sends one event to a stream or to a topic, through the gateway's internal API,
and prints the answer. Without DATA it sends no event and does --close only. With -
it reads messages from standard input, one JSON object a line, and prints one
answer a line, in order.
`,
		flags: new(sendFlags).set(),
		examples: []string{
			"tidegate send --topic news 'hello, all'",
			`tidegate send --topic task:42 --name task_event '{"event_type":"progress_update"}'`,
			"tidegate send --token TOKEN 'goodbye' --close",
			`echo '{"topic":"news","event":{"data":"one"}}' | tidegate send -`,
		},
		exits: []entry{
			{"0", "the gateway has taken everything"},
			{"1", "it refused something, or does not answer"},
			{"2", "the call has a mistake"},
		},
	}
}

type sendFlags struct {
	server    string
	secret    string
	token     string
	topic     string
	name      string
	close     bool
	key       string
	transient bool
	timeout   time.Duration
	trust     trust
	gateway   *client.Client
}

func (f *sendFlags) set() *pflag.FlagSet {
	fs := pflag.NewFlagSet("send", pflag.ContinueOnError)
	fs.StringVar(&f.server, "server", "http://127.0.0.1:8081", "`URL` of the gateway's internal listener")
	fs.StringVar(&f.secret, "internal-secret", "", "bearer token of the internal API, or file:PATH of a file that has it")
	fs.StringVar(&f.token, "token", "", "`TOKEN` of the stream to send to")
	fs.StringVar(&f.topic, "topic", "", "`TOPIC` to send to")
	fs.StringVar(&f.name, "name", "", "`NAME` of the event; without it browsers dispatch a message event")
	fs.BoolVar(&f.close, "close", false, "end the stream, or the topic, after the event")
	fs.StringVar(&f.key, "idempotency-key", "", "`KEY` that makes a repeat within two minutes return the first answer; with --topic")
	fs.BoolVar(&f.transient, "transient", false, "send to the streams that are attached now, and store nothing; with --topic")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "time within which the gateway must answer")
	f.trust.set(fs)
	return fs
}

func send(ctx context.Context, sys System) error {
	var f sendFlags
	fs := f.set()
	words, err := config.Parse(fs, "send", sys.Args, sys.Env)
	if errors.Is(err, config.ErrHelp) {
		return sendManual().help(sys.Stdout)
	} else if err != nil {
		return err
	}
	server, ok := reach(f.server)
	if !ok {
		return usagef("send: --server is not an http or https URL, nor unix:SOCKET")
	}
	if f.secret, err = access.ClientSecret(f.secret); err != nil {
		return usagef("send: --internal-secret: %v", err)
	}
	if err := f.dial(server); err != nil {
		return err
	}
	switch {
	case len(words) == 1 && words[0] == "-":
		if f.token != "" || f.topic != "" || f.name != "" || f.close || f.key != "" || f.transient {
			return usagef("send: with - each line names its own target; leave out --token, --topic, --name, --close, --idempotency-key and --transient")
		}
		return f.batches(ctx, sys.Stdin, sys.Stdout)
	case (f.token == "") == (f.topic == ""):
		return usagef("send: give --token or --topic, one of them")
	case f.topic == "" && (f.key != "" || f.transient):
		return usagef("send: --idempotency-key and --transient go with --topic")
	case f.transient && (f.key != "" || f.close || len(words) == 0):
		return usagef("send: --transient needs data, and goes without --close and --idempotency-key")
	case len(words) > 1:
		return usagef("send: give the data as one argument, in quotes")
	case len(words) == 0 && (f.name != "" || !f.close):
		return usagef("send: nothing to send: give the data as an argument ('' for empty), or --close")
	}
	return f.single(ctx, words, sys.Stdout)
}

// dial makes the client of the gateway. It sends nothing yet.
func (f *sendFlags) dial(server socket.Target) error {
	h, err := f.trust.client(server)
	if err != nil {
		return err
	}
	f.gateway, err = client.New(client.Options{
		URL: server.URL, Secret: f.secret, Timeout: f.timeout, UserAgent: version.UserAgent(),
		Transport: cmp.Or(h.Transport, http.DefaultTransport),
		Retries:   -1, // the person who typed the command decides
	})
	if err != nil {
		return usagef("send: --server: %s", strings.TrimPrefix(err.Error(), "client: "))
	}
	return nil
}

// single sends one message and prints the answer.
func (f *sendFlags) single(ctx context.Context, words []string, out io.Writer) error {
	m := client.Message{Token: f.token, Topic: f.topic, Close: f.close, IdempotencyKey: f.key}
	if len(words) == 1 {
		m.Event = &client.Event{Name: f.name, Data: words[0], Transient: f.transient}
	}
	result, err := f.gateway.Send(ctx, m)
	if err != nil {
		return f.explain(err)
	}
	return json.NewEncoder(out).Encode(result)
}

// Bounds of what is read at once.
const (
	batchLines = 1000
	batchBytes = 8 << 20
	lineBytes  = 4 << 20
)

// batches sends lines as they arrive. A batch is everything that can be read now, so a line of a slow
// producer does not wait, and a fast producer is not slowed down.
func (f *sendFlags) batches(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	refused := 0
	for done := false; !done; {
		batch, err := readBatch(lines)
		if done = errors.Is(err, io.EOF); err != nil && !done {
			return fmt.Errorf("send: read standard input: %w", err)
		}
		if len(batch) == 0 {
			continue
		}
		answers, err := f.gateway.SendLines(ctx, batch)
		for _, answer := range answers {
			if _, err := fmt.Fprintf(out, "%s\n", answer); err != nil {
				return fmt.Errorf("send: print answers: %w", err)
			}
			if isRefused(answer) {
				refused++
			}
		}
		if err != nil {
			return f.explain(err)
		}
	}
	if refused > 0 {
		return fmt.Errorf("send: %d messages were refused; see the answers", refused)
	}
	return nil
}

// readBatch waits for one line, and takes the lines that have arrived with it.
func readBatch(in *bufio.Reader) (batch [][]byte, err error) {
	for size := 0; len(batch) < batchLines && size < batchBytes; {
		line, err := in.ReadBytes('\n')
		if len(line) > lineBytes {
			return nil, fmt.Errorf("a line is longer than %d bytes", lineBytes)
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			batch, size = append(batch, line), size+len(line)
		}
		if err != nil {
			return batch, err
		}
		if rest, _ := in.Peek(in.Buffered()); !bytes.Contains(rest, []byte{'\n'}) {
			break
		}
	}
	return batch, nil
}

func isRefused(answer []byte) bool {
	var result client.Result
	return json.Unmarshal(answer, &result) != nil || result.Code != http.StatusOK
}

// explain words an error of the client for the person who typed the command.
func (f *sendFlags) explain(err error) error {
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		return fmt.Errorf("send: refused: %s", terminal.Line(refusal.Error()))
	}
	if errors.Is(err, client.ErrUnreachable) {
		return fmt.Errorf("send: no gateway answers there; check --server: %w", f.trust.explain(err))
	}
	return fmt.Errorf("send: %w", err)
}
