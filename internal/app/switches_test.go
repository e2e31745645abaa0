package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"tidegate/internal/config"
	"tidegate/internal/limit"
)

// TestNoExpress: the shortcut for sends is in front of net/http, unless it is switched
// off.
func TestNoExpress(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--no-express"}} {
		args = append(args, "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--callback-url", "http://127.0.0.1:1/")
		cfg, _, err := config.Load("gateway", args, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		p := &program{command: "gateway", cfg: cfg, log: slog.New(slog.DiscardHandler)}
		for _, step := range []func(context.Context) error{p.makePolicies, p.makeLimits, p.makeGuards, p.openListeners, p.makeServices} {
			if err := step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, plain := p.internal.listener.(*limit.Pool).Listener.(*net.TCPListener)
		if plain != cfg.NoExpress {
			t.Errorf("%q: net/http reads all requests: %v", args, plain)
		}
		p.closeListeners()
	}
}
