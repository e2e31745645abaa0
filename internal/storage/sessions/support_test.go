package sessions

import (
	"context"
	"testing"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
)

func TestMain(m *testing.M) { natstest.Main(m) }

// openWith opens an engine and closes it when the test ends. It logs to the test's
// output.
func openWith(t testing.TB, opts nats.Options) *nats.Engine {
	t.Helper()
	if opts.Log == nil {
		opts.Log = natstest.Log(t)
	}
	return natstest.Open(t, func(ctx context.Context) (*nats.Engine, error) { return nats.Open(ctx, opts) })
}
