package segments

import (
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"

	"tidegate/internal/storage/storetest"
)

var errKilled = errors.New("killed")

func conformity(change func(*Options)) storetest.Config {
	return storetest.Config{
		MaxEvent: 1 << 20, MaxBytes: 64 << 20, Bubble: true, CallerApplies: true, KeysGo: true,
		New: func(t testing.TB) storetest.Place {
			dir, copied := t.TempDir(), t.TempDir()
			replace := func(t testing.TB, to, from string) {
				if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
					t.Fatal(err)
				}
			}
			return storetest.Place{
				Open: func(t testing.TB) storetest.Instance {
					files := &faultFS{}
					opts := Options{Dir: dir, MaxBytes: 64 << 20, MaxEvent: 1<<20 + 64, FS: files, Log: slog.New(slog.DiscardHandler)}
					change(&opts)
					l, err := Open(t.Context(), opts)
					if err != nil {
						t.Fatal(err)
					}
					killed := false
					return storetest.Instance{
						Store: l,
						Close: func() error {
							if err := l.Close(); err != nil && !killed {
								return err
							}
							return nil
						},
						Kill: func() {
							killed = true
							files.fail(func(op, _ string) error { return errKilled })
						},
						FailWrites: func(fail bool) {
							files.set(nil)
							if fail {
								files.fail(func(op, _ string) error {
									if op == "write" {
										return syscall.ENOSPC
									}
									return nil
								})
							}
						},
					}
				},
				Save:    func(t testing.TB) { replace(t, copied, dir) },
				Restore: func(t testing.TB) { replace(t, dir, copied) },
			}
		},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, conformity(func(*Options) {}))
}

func TestStoreInSmallSegments(t *testing.T) {
	t.Parallel()
	storetest.Run(t, conformity(func(o *Options) { o.segmentSize = 4 << 10; o.maintain = 1e9 }))
}
