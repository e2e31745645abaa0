package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Where a gateway that is started keeps its events.
const (
	storageMemory  = "memory"
	storageProcess = "process" // in a folder, with --durability process
	storagePower   = "power"   // in a folder, with --durability power
)

var storages = []string{storageMemory, storageProcess, storagePower}

// checkStorage looks at all that says where events are kept.
func (o *Options) checkStorage() error {
	var errs []error
	for _, f := range []struct{ name, value string }{{"storage", o.Storage}, {"compare-storage", o.CompareStorage}} {
		if f.value != "" && !slices.Contains(storages, f.value) {
			errs = append(errs, fmt.Errorf("--%s %q: must be one of %s", f.name, f.value, strings.Join(storages, ", ")))
		}
	}
	if o.external() && (o.Storage != storageMemory || o.CompareStorage != "" || o.NATSServer != "") {
		errs = append(errs, errors.New("--storage, --compare-storage and --nats-server are for a gateway that bench starts; leave them out with --public"))
	}
	if o.NATSServer != "" && (o.Storage != storageMemory || o.CompareStorage != "") {
		errs = append(errs, errors.New("give --nats-server or a storage, one of them"))
	}
	if o.Limit != "" && o.CompareStorage != "" {
		errs = append(errs, errors.New("--compare-storage goes with --compare, or alone; not with --limit"))
	}
	if o.Cold && !o.durable() {
		errs = append(errs, errors.New("--cold goes with --storage or --nats-server: what is kept in memory ends with the gateway"))
	}
	return errors.Join(errs...)
}

// durable says that what the gateway was sent outlives it.
func (o *Options) durable() bool { return o.Storage != storageMemory || o.NATSServer != "" }

// store is where a gateway keeps its events during one run: a new folder, or a
// server with a new folder, or nothing.
type store struct {
	dir  string   // "" for nothing
	args []string // of each gateway that uses it

	server *exec.Cmd // nil without one
	logs   sync.WaitGroup
}

// openStore makes what the subject needs. It must be closed after all gateways
// have ended.
func openStore(ctx context.Context, o *Options, s subject, log io.Writer) (*store, error) {
	if s.storage == storageMemory && s.natsServer == "" {
		return &store{}, nil
	}
	dir, err := os.MkdirTemp(o.StorageDir, "tidegate-bench-")
	if err != nil {
		return nil, fmt.Errorf("--storage-dir: %w", err)
	}
	st := &store{dir: dir}
	if s.natsServer == "" {
		st.args = []string{"--data", dir, "--durability", s.storage}
		return st, nil
	}
	if err := st.startServer(ctx, s.natsServer, log); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// natsListening stands in the server's log before the address of clients.
const natsListening = "Listening for client connections on "

// natsConfiguration lets events of --max-body through; the rest are defaults.
const natsConfiguration = `host: 127.0.0.1
port: -1
max_payload: 2MB
jetstream: {store_dir: %q}
`

// startServer starts a NATS server on a free port, and returns when it has one.
func (st *store) startServer(ctx context.Context, binary string, log io.Writer) error {
	file := filepath.Join(st.dir, "nats.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, natsConfiguration, st.dir), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "-c", file)
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = out
	err = cmd.Start()
	_ = out.Close()
	if err != nil {
		_ = in.Close()
		return fmt.Errorf("--nats-server: %w", err)
	}
	st.server = cmd
	address := make(chan string, 1)
	st.logs.Go(func() {
		defer in.Close()
		defer close(address)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if _, at, ok := strings.Cut(lines.Text(), natsListening); ok {
				address <- at // once
			} else if strings.Contains(lines.Text(), "[ERR]") || strings.Contains(lines.Text(), "[FTL]") {
				fmt.Fprintf(log, "nats-server: %s\n", lines.Text())
			}
		}
	})
	at, ok := <-address
	if !ok {
		return errors.New("--nats-server: it ended before it listened")
	}
	st.args = []string{"--nats-url", "nats://" + at}
	return nil
}

// close ends the server and removes all that was kept.
func (st *store) close() error {
	if st.server != nil {
		_ = st.server.Process.Signal(syscall.SIGTERM)
		_ = st.server.Wait() // it says 1 after SIGTERM
		st.logs.Wait()
	}
	if st.dir == "" {
		return nil
	}
	return os.RemoveAll(st.dir)
}

// size is what is on the disk, in bytes.
func (st *store) size() (sum int64, err error) {
	err = filepath.WalkDir(st.dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // files come and go meanwhile
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the storage: %w", err)
	}
	return sum, nil
}
