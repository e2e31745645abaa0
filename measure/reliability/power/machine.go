package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/callback"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/record"
)

// machine is a server with its disk and its publishers.
type machine struct {
	opts             options
	disk             disk
	server           *harness.Process
	hooks            *callback.Backend // nil with serve, which has its own
	api              *api.Client
	ports            harness.Ports
	public, internal string
	history          *history
}

const loopback = "127.0.0.1"

// newMachine returns a machine whose server is not started. The caller must call close,
// also after an error, if the machine is not nil.
func newMachine(ctx context.Context, o options) (*machine, error) {
	m := &machine{opts: o, history: newHistory(o.topics)}
	public, err1 := m.ports.Free(loopback)
	internal, err2 := m.ports.Free(loopback)
	if err := errors.Join(err1, err2); err != nil {
		m.ports.Release()
		return nil, err
	}
	m.public, m.internal = "http://"+public, "http://"+internal
	m.api = api.New([]string{m.internal}, "", 5*time.Second, o.publishers)
	if err := m.makeDisk(ctx); err != nil {
		return m, err
	}
	argv := []string{
		o.tidegate, o.mode, "--data", m.data(), "--durability", o.durability,
		"--store-size", fmt.Sprintf("%dMiB", o.size/2), // large enough to keep the oldest events; dropping them would look like a loss
		"--listen", public, "--internal-listen", internal,
		"--namespace", "task=events:1000000,bytes:128MiB,age:24h,replay:all",
	}
	if o.mode == harness.Gateway {
		var err error
		if m.hooks, err = callback.Listen(loopback+":0", m.api, func(record.Callback) {}); err != nil {
			return m, err
		}
		argv = append(argv, "--callback-url", m.hooks.URL())
	}
	m.server = harness.NewProcess(harness.Spec{
		Name: o.mode, Dir: o.dir, Argv: argv, Ready: m.public + "/readyz",
		Env: []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE"), "HOME=" + o.dir},
	})
	return m, nil
}

func (m *machine) makeDisk(ctx context.Context) (err error) {
	if m.opts.copy {
		m.disk = newSnapshotDisk(m.opts.dir)
	} else if m.disk, err = newImageDisk(ctx, m.opts.dir, m.opts.size); err != nil {
		return err
	}
	return m.disk.mount(ctx)
}

// data returns the server's data folder.
func (m *machine) data() string { return filepath.Join(m.disk.folder(), "data") }

// close stops the server and unmounts the disk.
func (m *machine) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	if m.server != nil {
		stopping, cancel := context.WithTimeout(ctx, time.Minute)
		errs = append(errs, m.server.Stop(stopping))
		cancel()
	}
	if m.hooks != nil {
		errs = append(errs, m.hooks.Close())
	}
	m.api.Close()
	m.ports.Release()
	if m.disk != nil {
		errs = append(errs, m.disk.close(ctx))
	}
	return errors.Join(errs...)
}

// lose cuts the power of server and disk. It suspends the server first, so that the
// server answers nothing after the loss.
func (m *machine) lose(ctx context.Context) (at time.Duration, err error) {
	if d, ok := m.disk.(*snapshotDisk); ok {
		if err := m.keep(ctx, d); err != nil {
			return 0, err
		}
	}
	if err := m.server.Suspend(); err != nil {
		return 0, err
	}
	at = m.history.now()
	if err := errors.Join(m.disk.cut(), m.server.Kill()); err != nil {
		return at, err
	}
	return at, m.disk.restart(ctx)
}

// unsynced is the age of the snapshot at the loss of power.
const unsynced = 400 * time.Millisecond

// keep takes the snapshot: right before the loss if all answered events must be in it,
// else earlier.
func (m *machine) keep(ctx context.Context, d *snapshotDisk) error {
	if err := m.server.Suspend(); err != nil {
		return err
	}
	if err := d.keep(); err != nil || m.opts.durability == power {
		return err
	}
	if err := m.server.Resume(); err != nil {
		return err
	}
	api.Sleep(ctx, unsynced)
	return nil
}

// reboot changes the boot id in the data folder, as if the machine had rebooted. The
// kernel is still the same, and the server would notice that.
func (m *machine) reboot() error {
	path := filepath.Join(m.data(), "boot.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var boot map[string]any
	if err := json.Unmarshal(text, &boot); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if boot["boot_id"] == nil || boot["clean"] != false {
		return fmt.Errorf("%s does not say that the server ended without a shutdown: %s", path, text)
	}
	boot["boot_id"] = "the boot before, " + strconv.FormatInt(time.Now().UnixNano(), 36)
	if text, err = json.Marshal(boot); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// load publishes until stop is closed. Each publisher has its own topics and sends one
// event at a time.
func (m *machine) load(ctx context.Context, stop <-chan struct{}) error {
	errs := make([]error, m.opts.publishers)
	var publishing sync.WaitGroup
	for i := range errs {
		publishing.Go(func() { errs[i] = m.publisher(ctx, i, stop) })
	}
	publishing.Wait()
	return cmp.Or(errs...) // the others have the same cause
}

// publisher sends to every publishers-th topic from number, in turn.
func (m *machine) publisher(ctx context.Context, number int, stop <-chan struct{}) error {
	tick := time.NewTicker(time.Duration(float64(time.Second) * float64(m.opts.publishers) / m.opts.rate))
	defer tick.Stop()
	for topic := number; ; topic += m.opts.publishers {
		if topic >= m.opts.topics {
			topic = number
		}
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if topic >= m.opts.topics { // there are more publishers than topics
			continue
		}
		if _, err := m.publish(ctx, topic, false); err != nil {
			return err
		}
	}
}
