package nats

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/storage/natstest"
)

// openSystem is configuration that lets the account of users ask how servers sync. %s
// is more of JetStream's.
const openSystem = `jetstream: {store_dir: %q, max_mem: 64MB, max_file: 8GB%s}
system_account: SYS
accounts {
  SYS { exports: [ {service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream, accounts: [APP]} ] }
  APP { jetstream: enabled, users: [ {user: app, password: app} ]
    imports: [ {service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}} ] }
}`

// TestServersThatMayLoseWhatTheyAcknowledgedAreWarnedOf, and those that do not say.
// It keeps nobody from being ready.
func TestServersThatMayLoseWhatTheyAcknowledgedAreWarnedOf(t *testing.T) {
	t.Parallel()
	app := Options{User: "app", Password: "app"}
	for name, c := range map[string]struct {
		conf string
		opts Options
		want string // "" for no warning
	}{
		"as NATS comes": {"", Options{}, "its system account is not open to this one"},
		"not permitted": {`authorization: {users: [{user: app, password: app, permissions: {publish: ["tidegate.>", "$JS.API.>", "$JS.FC.>"], subscribe: ["tidegate.>", "_INBOX.>"]}}]}`,
			app, "does not say whether it syncs every write (no answer)"},
		"lazy":   {fmt.Sprintf(openSystem, t.TempDir(), ", sync_interval: 10s"), app, "set sync_interval: always in jetstream of server (10s)"},
		"always": {fmt.Sprintf(openSystem, t.TempDir(), ", sync_interval: always"), app, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log natstest.Lines
			opts := c.opts
			opts.URLs, opts.Needs, opts.Log = []string{natstest.StartServer(t, c.conf)}, NeedLog, log.Logger(slog.LevelWarn)
			e := openWith(t, opts)
			for range 2 { // what was said is not logged again
				e.warn(e.askServers(natstest.Within(t)))
			}
			got := strings.Join(e.Warnings(), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
			if n := strings.Count(log.String(), "\n"); n != len(e.Warnings()) {
				t.Errorf("logged %q", log.String())
			}
			if reasons := e.Health(); len(reasons) > 0 {
				t.Errorf("not ready: %q", reasons)
			}
		})
	}
}

// TestWarningsComeByThemselves: an engine that runs asks.
func TestWarningsComeByThemselves(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{URLs: []string{natstest.StartServer(t)}, Needs: NeedLog})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = e.Run(ctx) })
	natstest.Eventually(t, "a warning", func() bool { return len(e.Warnings()) > 0 })
	cancel()
	run.Wait()
	if e := openEmbedded(t); len(e.Warnings()) > 0 {
		t.Errorf("embedded: %q", e.Warnings())
	}
}
