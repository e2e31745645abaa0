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

// rig is a server, its disk, and who publishes to it.
type rig struct {
	opts             options
	disk             disk
	server           *harness.Process
	hooks            *callback.Backend // nil with serve, which has its own
	api              *api.Client
	ports            harness.Ports
	public, internal string
	book             *book
}

const loopback = "127.0.0.1"

// newRig makes a rig whose server is not started. Close must be called.
func newRig(ctx context.Context, o options) (*rig, error) {
	r := &rig{opts: o, book: newBook(o.topics)}
	public, err1 := r.ports.Free(loopback)
	internal, err2 := r.ports.Free(loopback)
	if err := errors.Join(err1, err2); err != nil {
		r.ports.Release()
		return nil, err
	}
	r.public, r.internal = "http://"+public, "http://"+internal
	r.api = api.New([]string{r.internal}, "", 5*time.Second, o.publishers)
	if err := r.makeDisk(ctx); err != nil {
		return r, err
	}
	argv := []string{
		o.tidegate, o.mode, "--data", r.data(), "--durability", o.durability,
		"--store-size", fmt.Sprintf("%dMiB", o.size/2), // of the oldest events nothing may be dropped: that would be a loss
		"--listen", public, "--internal-listen", internal,
		"--namespace", "task=events:1000000,bytes:128MiB,age:24h,replay:all",
	}
	if o.mode == harness.Gateway {
		var err error
		if r.hooks, err = callback.Listen(loopback+":0", r.api, func(record.Callback) {}); err != nil {
			return r, err
		}
		argv = append(argv, "--callback-url", r.hooks.URL())
	}
	r.server = harness.NewProcess(harness.Spec{
		Name: o.mode, Dir: o.dir, Argv: argv, Ready: r.public + "/readyz",
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir},
	})
	return r, nil
}

func (r *rig) makeDisk(ctx context.Context) (err error) {
	if r.opts.copy {
		r.disk = newCopied(r.opts.dir)
	} else if r.disk, err = newImage(ctx, r.opts.dir, r.opts.size); err != nil {
		return err
	}
	return r.disk.mount(ctx)
}

// data is the server's folder.
func (r *rig) data() string { return filepath.Join(r.disk.folder(), "data") }

// close ends everything. Nothing is left mounted.
func (r *rig) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	if r.server != nil {
		stopping, cancel := context.WithTimeout(ctx, time.Minute)
		errs = append(errs, r.server.Stop(stopping))
		cancel()
	}
	if r.hooks != nil {
		errs = append(errs, r.hooks.Close())
	}
	r.api.Close()
	r.ports.Release()
	if r.disk != nil {
		errs = append(errs, r.disk.close(ctx))
	}
	return errors.Join(errs...)
}

// lose takes the power away from machine and disk. The server is stopped first, so
// that it does not answer what it could not have: after that moment it has said
// all that it will say.
func (r *rig) lose(ctx context.Context) (at time.Duration, err error) {
	if d, ok := r.disk.(*copied); ok {
		if err := r.keep(ctx, d); err != nil {
			return 0, err
		}
	}
	if err := r.server.Suspend(); err != nil {
		return 0, err
	}
	at = r.book.now()
	if err := errors.Join(r.disk.cut(), r.server.Kill()); err != nil {
		return at, err
	}
	return at, r.disk.restart(ctx)
}

// unsynced is how old a copy of the disk is when the power is lost.
const unsynced = 400 * time.Millisecond

// keep copies the disk: at once before the loss if all that was answered has to
// be on it, else some time before.
func (r *rig) keep(ctx context.Context, d *copied) error {
	if err := r.server.Suspend(); err != nil {
		return err
	}
	if err := d.keep(); err != nil || r.opts.durability == power {
		return err
	}
	if err := r.server.Resume(); err != nil {
		return err
	}
	api.Sleep(ctx, unsynced)
	return nil
}

// reboot makes the folder look as if the machine had been started anew since: in
// truth the kernel is still the same, and the server would know.
func (r *rig) reboot() error {
	path := filepath.Join(r.data(), "boot.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var boot map[string]any
	if err := json.Unmarshal(text, &boot); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if boot["boot_id"] == nil || boot["clean"] != false {
		return fmt.Errorf("%s does not say that the server went down: %s", path, text)
	}
	boot["boot_id"] = "the boot before, " + strconv.FormatInt(time.Now().UnixNano(), 36)
	if text, err = json.Marshal(boot); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// load publishes until stop is closed, each publisher at topics of its own and
// one event after the other.
func (r *rig) load(ctx context.Context, stop <-chan struct{}) error {
	errs := make([]error, r.opts.publishers)
	var publishing sync.WaitGroup
	for i := range errs {
		publishing.Go(func() { errs[i] = r.publisher(ctx, i, stop) })
	}
	publishing.Wait()
	return cmp.Or(errs...) // the others will be about the same
}

func (r *rig) publisher(ctx context.Context, number int, stop <-chan struct{}) error {
	tick := time.NewTicker(time.Duration(float64(time.Second) * float64(r.opts.publishers) / r.opts.rate))
	defer tick.Stop()
	for topic := number; ; topic += r.opts.publishers {
		if topic >= r.opts.topics {
			topic = number
		}
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if topic >= r.opts.topics { // there are more publishers than topics
			continue
		}
		if _, err := r.publish(ctx, topic, false); err != nil {
			return err
		}
	}
}
