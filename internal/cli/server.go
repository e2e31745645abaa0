package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"tidegate/internal/app"
	"tidegate/internal/config"
	"tidegate/internal/logging"
	"tidegate/internal/socket"
)

// server runs serve, gateway or backend.
func server(name string) func(context.Context, System) error {
	return func(ctx context.Context, sys System) error {
		reload := serverSignals()
		cfg, _, err := config.Load(name, sys.Args, sys.Env, sys.Stdout)
		if err != nil {
			return err
		}
		output, log, err := logging.Open(logging.Options{
			Level: cfg.LogLevel, Format: cfg.LogFormat, File: cfg.LogFile, Stderr: sys.Stderr,
		})
		if err != nil {
			return usagef("%v", err)
		}
		defer func() { _ = output.Close() }() // there is no place left to report it
		for _, warning := range cfg.Warnings() {
			log.Warn(warning)
		}
		return app.Run(ctx, app.Options{
			Command: name, Config: cfg, Log: log, Output: output, Reload: reload,
			Ready: func(a app.Addresses) { greet(sys.Stdout, name, a) },
		})
	}
}

// serverSignals keeps the process alive when its terminal or the reader of its output goes away, and
// returns the channel of SIGHUP. Other commands keep the defaults: they end with their terminal or
// their pipe.
func serverSignals() (reload <-chan os.Signal) {
	hangUps := make(chan os.Signal, 1) // one reload serves several signals
	signal.Notify(hangUps, syscall.SIGHUP)
	// A write to a pipe without a reader then returns an error. SIGPIPE is caught, not ignored:
	// child processes inherit ignored signals.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return hangUps
}

// greet prints the addresses for people. The log has them for machines.
func greet(w io.Writer, name string, a app.Addresses) {
	public := pathless(a.Public)
	switch {
	case name == "serve" && public != a.Public:
		fmt.Fprintf(w, "Tidegate is ready at %s, for a proxy that browsers can reach.\n", a.Public)
	case name == "serve":
		fmt.Fprintf(w, "Tidegate is ready. Open %s/ in a browser.\n", a.Public)
	case name == "gateway":
		fmt.Fprintf(w, "Tidegate gateway is ready: streams at %s\n", a.Public)
	case name == "backend":
		fmt.Fprintf(w, "Tidegate backend is ready: callbacks at %s/api/sse/callback\n", public)
	}
	switch {
	case a.Internal == "":
	case name == "backend":
		fmt.Fprintf(w, "Metrics: %s/metrics\n", pathless(a.Internal))
	default:
		fmt.Fprintf(w, "Internal API: %s/internal/send\n", pathless(a.Internal))
	}
}

// pathless returns the address in a form to which a path can be appended.
func pathless(address string) string {
	if socket.IsUnix(address) {
		return address + ":"
	}
	return address
}
