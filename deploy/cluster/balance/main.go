// Command balance stands in for a load balancer on a developer's machine: a
// reverse proxy that streams, asks each node whether it is ready, and passes over
// those that are not. It also finds free ports, for scripts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"tidegate/internal/port"
)

const usage = `balance is a small load balancer for trying a cluster on one machine.

  balance --listen 127.0.0.1:8000 --route /api/sse/=http://127.0.0.1:8080,http://127.0.0.1:8090 \
    --route /=http://127.0.0.1:8082

passes each request on to a node of the route whose prefix is the longest that fits, in turn, and passes
over nodes whose /readyz does not answer 200. URL?ready=URL2 asks another one. A node that cannot be connected to is passed over at
once, as long as the request has no body. Responses are streamed.

  balance --free 9 --hold

prints 9 ports that are free on 127.0.0.1, and keeps anybody from being given them by chance until it is ended.
Without --hold it exits.

Flags:
`

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line says.
type options struct {
	listen   string
	routes   []route
	interval time.Duration
	free     int
	hold     bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "balance:", err)
		return exitUsage
	}
	if o.free > 0 {
		err = printFree(ctx, o, stdout)
	} else {
		err = serve(ctx, o, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "balance:", err)
		return exitError
	}
	return exitOK
}

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("balance", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are returned
	fs.Usage = func() {
		fmt.Fprint(stdout, usage)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8000", "`address` to listen on")
	fs.DurationVar(&o.interval, "interval", 500*time.Millisecond, "`pause` between two looks at a node")
	fs.IntVar(&o.free, "free", 0, "print so `many` free ports and exit")
	fs.BoolVar(&o.hold, "hold", false, "with --free: do not exit, and keep them for servers that are given them")
	fs.Func("route", "`PREFIX=URL,URL…`: the nodes for paths that begin with PREFIX; repeatable", func(text string) error {
		r, err := parseRoute(text)
		o.routes = append(o.routes, r)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; everything is given by flags", fs.Arg(0))
	case o.free < 0 || o.free > 1000:
		return o, fmt.Errorf("--free %d: must be from 1 to 1000", o.free)
	case o.hold && o.free == 0:
		return o, errors.New("--hold goes with --free")
	case o.free == 0 && len(o.routes) == 0:
		return o, errors.New("give at least one --route PREFIX=URL,URL")
	case o.interval < 10*time.Millisecond:
		return o, fmt.Errorf("--interval %s: must be 10ms or more", o.interval)
	}
	return o, nil
}

// printFree keeps all ports until all are known, so that none comes twice, and to
// hold them until ctx ends.
func printFree(ctx context.Context, o options, w io.Writer) error {
	var ports []string
	for range o.free {
		address, release, err := port.Reserve("127.0.0.1")
		if err != nil {
			return err
		}
		defer release()
		_, number, _ := strings.Cut(address, ":")
		ports = append(ports, number)
	}
	_, err := fmt.Fprintln(w, strings.Join(ports, " "))
	if err == nil && o.hold {
		<-ctx.Done()
	}
	return err
}

// serve balances until ctx ends.
func serve(ctx context.Context, o options, stdout io.Writer) error {
	listen, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	b := newBalancer(o.routes)
	defer b.close()
	watching, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	for _, n := range b.nodes {
		wait.Go(func() { n.watch(watching, o.interval) })
	}
	server := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	wait.Go(func() {
		<-watching.Done()
		_ = server.Close() // streams never end by themselves
	})
	fmt.Fprintln(stdout, "balance is ready: http://"+listen.Addr().String())
	if err := server.Serve(listen); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
