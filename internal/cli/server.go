package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"tidegate/internal/app"
	"tidegate/internal/config"
)

// server is serve, gateway or backend.
func server(name string) func(context.Context, System) error {
	return func(ctx context.Context, sys System) error {
		cfg, _, err := config.Load(name, sys.Args, sys.Env, sys.Stdout)
		if err != nil {
			return err
		}
		log := newLog(cfg, sys.Stderr)
		for _, warning := range cfg.Warnings() {
			log.Warn(warning)
		}
		return app.Run(ctx, app.Options{
			Command: name, Config: cfg, Log: log,
			Ready: func(a app.Addresses) { greet(sys.Stdout, name, a) },
		})
	}
}

func newLog(cfg *config.Config, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// greet tells a person where to look. The log says the same to machines.
func greet(w io.Writer, name string, a app.Addresses) {
	switch name {
	case "serve":
		fmt.Fprintf(w, "Tidegate is ready. Open %s/ in a browser.\n", a.Public)
	case "gateway":
		fmt.Fprintf(w, "Tidegate gateway is ready: streams at %s\n", a.Public)
	case "backend":
		fmt.Fprintf(w, "Tidegate backend is ready: callbacks at %s/api/sse/callback\n", a.Public)
	}
	if a.Internal != "" {
		fmt.Fprintf(w, "Internal API: %s/internal/send\n", a.Internal)
	}
}
