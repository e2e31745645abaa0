package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tidegate/internal/config"
	"tidegate/internal/terminal"
	"tidegate/internal/version"
	"tidegate/sse"
)

func listenManual() manual {
	return manual{
		usage: []string{"tidegate listen URL [--flag value …]"},
		about: `Opens a stream and prints its events as they come, one a line: the name and the
data. It reconnects and resumes as a browser does, until the server ends the
stream for good (204) or refuses it, or you interrupt it. A terminal gets control
characters of the data in the form \u001b; a pipe gets the data unchanged.
`,
		flags: new(listenFlags).set(),
		examples: []string{
			"tidegate listen 'http://localhost:8080/api/sse/tasks?task_id=ID'",
			"tidegate listen http://localhost:8080/api/sse/utils/version?request_id=me --json",
			"tidegate listen unix:/run/tidegate/public.sock:/news",
			"tidegate listen http://localhost:3000/news --limit 1 --header 'Authorization: Bearer …'",
		},
		exits: []entry{
			{"0", "the stream has ended for good, --limit is reached, or you interrupted it"},
			{"1", "the server refused the stream"},
			{"2", "the call has a mistake"},
		},
	}
}

type listenFlags struct {
	json    bool
	quiet   bool
	limit   int
	last    string
	headers []string
	timeout time.Duration
	trust   trust

	maxEvent      int64
	maxWait       time.Duration
	maxReconnects int
}

func (f *listenFlags) set() *pflag.FlagSet {
	fs := pflag.NewFlagSet("listen", pflag.ContinueOnError)
	fs.BoolVar(&f.json, "json", false, "print each event as a JSON object on one line: id, event, data")
	fs.BoolVar(&f.quiet, "quiet", false, "do not report opens, ends and reconnects on standard error")
	fs.IntVar(&f.limit, "limit", 0, "end after this many events; 0 is no limit")
	fs.StringVar(&f.last, "last-event-id", "", "resume after the event with this `ID`")
	fs.StringArrayVar(&f.headers, "header", nil, "header to send, `'Name: value'`; can be given several times")
	fs.DurationVar(&f.timeout, "timeout", time.Minute, "reconnect after this time without any data, heartbeats included; 0 is never")
	f.maxEvent = 64 << 20
	fs.Var((*config.ByteSize)(&f.maxEvent), "max-event", "largest event; a larger one is dropped and reported on standard error")
	fs.DurationVar(&f.maxWait, "max-wait", 5*time.Minute, "longest wait before a reconnect, even if the server asks for more")
	fs.IntVar(&f.maxReconnects, "max-reconnects", 0, "end after this many attempts in a row that opened no stream; 0 is no limit")
	f.trust.set(fs)
	return fs
}

func listen(ctx context.Context, sys System) error {
	var f listenFlags
	fs := f.set()
	words, err := config.Parse(fs, "listen", sys.Args, sys.Env)
	if errors.Is(err, config.ErrHelp) {
		return listenManual().help(sys.Stdout)
	} else if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("listen: give one URL, as in: tidegate listen http://localhost:8080/api/sse/tasks?task_id=ID")
	}
	server, ok := reach(words[0])
	if !ok {
		return usagef("listen: %q is not an http or https URL, nor unix:SOCKET:/PATH", words[0])
	}
	header, err := parseHeaders(f.headers)
	if err != nil {
		return err
	}
	if f.limit < 0 || f.timeout < 0 || f.maxWait <= 0 || f.maxReconnects < 0 || f.maxEvent < 1 || f.maxEvent > 1<<30 {
		return usagef("listen: --limit, --timeout and --max-reconnects are 0 or more, --max-wait is more than 0, --max-event is up to 1GiB")
	}
	opts := f.options(server.URL, header, sys.Stderr)
	if opts.HTTPClient, err = f.trust.client(server); err != nil {
		return err
	}
	return f.print(ctx, sse.NewClient(opts), sys.Stdout)
}

func (f *listenFlags) options(address string, header http.Header, stderr io.Writer) sse.ClientOptions {
	opts := sse.ClientOptions{
		URL: address, Header: header, LastEventID: f.last, IdleTimeout: f.timeout,
		MaxLine: int(f.maxEvent), MaxEvent: int(f.maxEvent),
		MaxRetry: f.maxWait, MaxDelay: min(f.maxWait, sse.DefaultMaxDelay), MaxReconnects: f.maxReconnects,
		OnTooLarge: func(err error) { // reported with --quiet too: the output lacks an event
			fmt.Fprintf(stderr, "listen: dropped an event: %v; give a larger --max-event\n", err)
		},
	}
	if !f.quiet {
		opts.OnOpen = func(*http.Response) { fmt.Fprintln(stderr, "listen: stream is open") }
		opts.OnReconnect = func(err error, delay time.Duration) {
			why := err.Error()
			if errors.Is(err, io.EOF) {
				why = "stream ended"
			}
			fmt.Fprintf(stderr, "listen: %s; connecting again in %s\n", terminal.Line(why), delay.Round(100*time.Millisecond))
		}
	}
	return opts
}

func (f *listenFlags) print(ctx context.Context, client *sse.Client, out io.Writer) error {
	count := 0
	for event, err := range client.Events(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return nil // interrupted, as asked
			}
			return fmt.Errorf("listen: %w", f.trust.explain(err))
		}
		if err := f.printEvent(out, event); err != nil {
			return fmt.Errorf("listen: print event: %w", err)
		}
		if count++; count == f.limit {
			return nil
		}
	}
	return nil
}

func (f *listenFlags) printEvent(out io.Writer, event sse.Event) error {
	if f.json {
		line, err := json.Marshal(struct {
			ID    string `json:"id"`
			Event string `json:"event"`
			Data  string `json:"data"`
		}{event.ID, event.Name, event.Data})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", line)
		return err
	}
	// The lines of one event stay together under its name.
	data := strings.ReplaceAll(event.Data, "\n", "\n\t")
	_, err := fmt.Fprintf(out, "%s\t%s\n", event.Name, data)
	return err
}

func parseHeaders(lines []string) (http.Header, error) {
	header := make(http.Header)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usagef("--header: write it as 'Name: value'") // not shown: it may hold a secret
		}
		header.Add(name, strings.TrimSpace(value))
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", version.UserAgent())
	}
	return header, nil
}
