package nats

import (
	"context"
	"testing"

	"tidegate/internal/storage/natstest"
)

func TestMain(m *testing.M) { natstest.Main(m) }

// openEmbedded opens an engine with a server in this process in a folder of its
// own. It is closed when the test ends.
func openEmbedded(t testing.TB) *Engine {
	t.Helper()
	return openWith(t, Options{Dir: t.TempDir()})
}

// openWith opens an engine and closes it when the test ends. What it logs goes to
// the test's output.
func openWith(t testing.TB, opts Options) *Engine {
	t.Helper()
	if opts.Log == nil {
		opts.Log = natstest.Log(t)
	}
	return natstest.Open(t, func(ctx context.Context) (*Engine, error) { return Open(ctx, opts) })
}
