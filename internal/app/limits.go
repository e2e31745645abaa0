package app

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"tidegate/internal/config"
	"tidegate/internal/limit"
)

// openFiles is the limit of open files of this process. Go has raised it to the hard limit.
func openFiles() uint64 {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 1024 // what most systems grant
	}
	return uint64(files.Cur)
}

// makeLimits makes the limits on what clients can cost.
func (p *program) makeLimits(context.Context) error {
	open := openFiles()
	files, err := limit.DivideFiles(open)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if p.cfg.InternalListen == config.Shared && p.command != "backend" {
		files.Public, files.Internal = files.Public+files.Internal, 0
	}
	p.files = files
	most := files.Public
	if p.cfg.MaxConnections > 0 {
		most = min(most, p.cfg.MaxConnections)
	}
	perAddress := cmp.Or(p.cfg.MaxPerAddress, max(1, most/4))
	p.limits = limit.New(limit.Options{
		PerAddress: perAddress, ConnectRate: float64(p.cfg.ConnectRate), Inflight: p.cfg.MaxInflight, Peers: p.peers, Log: p.log,
	})
	p.log.Info("limits", "open_files", open, "connections", files.Public, "internal_connections", files.Internal,
		"streams", cmp.Or(p.cfg.MaxConnections, files.Public), "per_address", perAddress)
	return nil
}

// publicPool is the number of connections of the public listener.
func (p *program) publicPool() limit.PoolOptions {
	return limit.PoolOptions{Name: "public", Seats: p.files.Public, Waiting: p.files.Waiting, Addresses: true}
}

// internalPool is the number of connections of the internal listener.
func (p *program) internalPool() limit.PoolOptions {
	return limit.PoolOptions{Name: "internal", Seats: p.files.Internal}
}

// opensStream returns a function that reports whether a request on the public listener opens a
// stream; nil if none does.
func opensStream(command string) func(*http.Request) bool {
	switch command {
	case "backend":
		return nil
	case "gateway":
		return func(r *http.Request) bool {
			path := strings.ToLower(strings.TrimRight(r.URL.Path, "/"))
			return path != "/healthz" && path != "/readyz" && path != "/metrics" && path != "/internal" && !strings.HasPrefix(path, "/internal/")
		}
	}
	return func(r *http.Request) bool {
		path := strings.ToLower(r.URL.Path)
		return strings.HasPrefix(path, streamsPath) && strings.TrimRight(path, "/") != callbackPath
	}
}
