package eventlog

import (
	"os"
	"testing"

	"tidegate/internal/longtest"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/storage/storetest"
)

const suiteMaxBody = 64 << 10

// embeddedStore is the log on a server in this process.
func embeddedStore() storetest.Config {
	return storetest.Config{
		MaxEvent: suiteMaxBody, LateRefusals: true, KeysGo: true, Seconds: true, TrimsShow: true,
		New: func(t testing.TB) storetest.Place {
			dir, backup := t.TempDir(), t.TempDir()
			return storetest.Place{
				Open: func(t testing.TB) storetest.Instance {
					return openStore(t, nats.Options{Dir: dir})
				},
				Save:    func(t testing.TB) { replaceDir(t, dir, backup) },
				Restore: func(t testing.TB) { replaceDir(t, backup, dir) },
			}
		},
	}
}

// serverStore is the log on a server that nodes share, which can be killed.
func serverStore() storetest.Config {
	return storetest.Config{
		MaxEvent: suiteMaxBody, LateRefusals: true, KeysGo: true, Seconds: true, TrimsShow: true,
		New: func(t testing.TB) storetest.Place {
			p := natstest.NewProcess(t, "server")
			return storetest.Place{
				Shared: true,
				Open: func(t testing.TB) storetest.Instance {
					if !p.Running() {
						p.Start(t)
					}
					in := openStore(t, nats.Options{URLs: []string{p.URL()}})
					in.Kill = p.Kill
					return in
				},
			}
		},
	}
}

func openStore(t testing.TB, opts nats.Options) storetest.Instance {
	t.Helper()
	opts.Log, opts.MaxBody, opts.MaxEvents, opts.EventsBytes = natstest.Log(t), suiteMaxBody, 100_000, 64<<20
	e, err := nats.Open(natstest.Within(t), opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	l, err := Open(natstest.Within(t), e, Options{})
	if err != nil {
		e.Close()
		t.Fatalf("OpenLog: %v", err)
	}
	return storetest.Instance{Store: l, Close: func() error { e.Close(); return nil }}
}

func replaceDir(t testing.TB, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestStoreOfAServerInThisProcess(t *testing.T) {
	t.Parallel()
	storetest.Run(t, embeddedStore())
}

func TestStoreOfASharedServer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, serverStore())
}

func TestModelOfAServerInThisProcess(t *testing.T) {
	t.Parallel()
	c := embeddedStore()
	c.Histories = longtest.Number(6, 12)
	storetest.Model(t, c)
}

func TestModelOfASharedServer(t *testing.T) {
	t.Parallel()
	c := serverStore()
	c.Histories = 4
	storetest.Model(t, c)
}
