package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"tidegate/internal/access"
	"tidegate/internal/config"
	"tidegate/internal/terminal"
	"tidegate/internal/transfer"
)

func storageManual() manual {
	return manual{
		usage: []string{
			"tidegate storage check DIR [--json]",
			"tidegate storage dump DIR [--topic TOPIC]",
			"tidegate storage export (DIR | --nats-url URL) [--out FILE]",
			"tidegate storage import (DIR | --shared DIR | --nats-url URL) [--in FILE] [--overwrite]",
		},
		about: `DIR is a data folder that no process has open.

Into a data folder, import keeps positions and times: clients resume with the ids
that they have. Into a folder for --nats-listen (--shared DIR) or a cluster
(--nats-url) positions are new: clients receive one reset, and then everything that
is there. If the log already has events, import fails unless --overwrite is given.
`,
		wordsAre: "Actions",
		words: []entry{
			{"check", "read the event log, and report what is there and what is damaged; changes nothing"},
			{"dump", "print events, one JSON object a line; changes nothing"},
			{"export", "write the whole log to standard output or to a file; changes nothing"},
			{"import", "read what export has written"},
		},
		flags: new(storageFlags).set(),
		examples: []string{
			"tidegate storage check ./tidegate-data",
			"tidegate storage dump ./tidegate-data --topic news",
			"tidegate storage export ./tidegate-data --out events.ndjson",
			"tidegate storage import --nats-url nats://127.0.0.1:4222 --in events.ndjson",
			"tidegate storage export --nats-url nats://127.0.0.1:4222 | tidegate storage import ./tidegate-data",
		},
		exits: []entry{
			{"0", "it is done, and check found no damage"},
			{"1", "check found damage, or something failed"},
			{"2", "the call has a mistake"},
		},
	}
}

type storageFlags struct {
	topic, out, in          string
	json, overwrite, shared bool

	urls                                   []string
	prefix, token, user, password          string
	creds, nkey, ca, certificate, clientID string
	replicas                               int
	maxBody, storeSize                     int64
}

func (f *storageFlags) set() *pflag.FlagSet {
	f.maxBody = 1 << 20
	fs := pflag.NewFlagSet("storage", pflag.ContinueOnError)
	fs.BoolVar(&f.json, "json", false, "check: print the report as JSON, with all topics")
	fs.StringVar(&f.topic, "topic", "", "dump: print events of this `TOPIC` only")
	fs.StringVar(&f.out, "out", "", "export: write to this `FILE`, which must not exist, instead of standard output")
	fs.StringVar(&f.in, "in", "", "import: read this `FILE` instead of standard input")
	fs.BoolVar(&f.overwrite, "overwrite", false, "import: delete the events that the log has")
	fs.BoolVar(&f.shared, "shared", false, "import: make DIR a folder for --nats-listen")
	fs.StringArrayVar(&f.urls, "nats-url", nil, "`URL` of a server of an external NATS cluster, instead of DIR")
	fs.StringVar(&f.prefix, "nats-prefix", "", "beginning of the names of all subjects and streams, as the servers have it")
	fs.StringVar(&f.token, "nats-token", "", "token to log in with at NATS, or file:PATH of a file that has it")
	fs.StringVar(&f.user, "nats-user", "", "`NAME` of the user to log in as at NATS")
	fs.StringVar(&f.password, "nats-password", "", "password of --nats-user, or file:PATH of a file that has it")
	fs.StringVar(&f.creds, "nats-creds", "", "credentials `FILE` to log in with at NATS")
	fs.StringVar(&f.nkey, "nats-nkey", "", "`FILE` with the seed of the nkey to log in with at NATS")
	fs.StringVar(&f.ca, "nats-ca", "", "PEM `FILE` with the authorities that check the certificates of NATS servers")
	fs.StringVar(&f.certificate, "nats-cert", "", "PEM `FILE` with the certificate to show; needs --nats-key")
	fs.StringVar(&f.clientID, "nats-key", "", "PEM `FILE` with the private key of --nats-cert")
	fs.IntVar(&f.replicas, "nats-replicas", 0, "import: copies that a cluster keeps, `N`; 0 is 3 if it has three servers, else 1")
	fs.Var((*config.ByteSize)(&f.maxBody), "max-body", "import into a cluster or --shared: `SIZE` of the largest message, as the servers have it in --max-body")
	fs.Var((*config.ByteSize)(&f.storeSize), "store-size", "import: `SIZE` that stored events can take from then on; 0 keeps the size that is configured")
	return fs
}

// storageCommand runs tidegate storage check, dump, export or import.
func storageCommand(ctx context.Context, sys System) error {
	var f storageFlags
	fs := f.set()
	words, err := config.Parse(fs, "storage", sys.Args, sys.Env)
	if errors.Is(err, config.ErrHelp) {
		return storageManual().help(sys.Stdout)
	} else if err != nil {
		return err
	}
	what, dir := "", ""
	switch len(words) {
	case 2:
		what, dir = words[0], words[1]
	case 1:
		what = words[0]
	}
	log := slog.New(slog.NewTextHandler(sys.Stderr, nil))
	switch {
	case len(words) > 2 || len(words) == 2 && dir == "":
		return usagef("storage: after %s give one data folder", words[0])
	case what == "check" && dir != "":
		return f.check(ctx, sys, dir)
	case what == "dump" && dir != "":
		return f.dump(ctx, sys, dir)
	case (what == "check" || what == "dump") && dir == "":
		return usagef("storage: %s needs the data folder, as in: tidegate storage %s ./tidegate-data", what, what)
	case (what == "export" || what == "import" && !f.shared) && dir == "" && len(f.urls) == 0:
		return usagef("storage: %s needs a data folder, or --nats-url", what)
	case what == "import" && f.shared && dir == "":
		return usagef("storage: import --shared needs a data folder")
	case what == "export":
		return f.export(ctx, sys, dir, log)
	case what == "import":
		return f.load(ctx, sys, dir, log)
	}
	return usagef("storage: give check, dump, export or import, as in: tidegate storage check ./tidegate-data")
}

// nats returns the options for a cluster. The servers decide how many events of a topic it keeps.
func (f *storageFlags) nats() (o transfer.NATSOptions, err error) {
	o = transfer.NATSOptions{
		Prefix: f.prefix, Command: "storage", Replicas: f.replicas, User: f.user,
		Credentials: f.creds, NKey: f.nkey, TLSCA: f.ca, TLSCert: f.certificate, TLSKey: f.clientID,
		MaxBody: f.maxBody, EventsBytes: f.storeSize, MaxEvents: 1 << 40, Log: quiet,
	}
	for _, list := range f.urls {
		o.URLs = append(o.URLs, strings.Split(list, ",")...)
	}
	if o.Token, err = access.ClientSecret(f.token); err != nil {
		return o, usagef("storage: --nats-token: %v", err)
	}
	if o.Password, err = access.ClientSecret(f.password); err != nil {
		return o, usagef("storage: --nats-password: %v", err)
	}
	return o, nil
}

// quiet drops the log lines of the storage engine: the caller wants the answer only.
var quiet = slog.New(slog.DiscardHandler)

// errDamaged makes the exit code 1 when check finds damage.
var errDamaged = errors.New("the event log is damaged: the report names the places")

func (f *storageFlags) check(ctx context.Context, sys System, dir string) error {
	report, err := transfer.Check(ctx, dir, quiet)
	if err != nil {
		return err
	}
	if f.json {
		err = writeIndented(sys.Stdout, report)
	} else {
		err = printReport(sys.Stdout, report)
	}
	if err == nil && report.Damaged() {
		return errDamaged
	}
	return err
}

func (f *storageFlags) dump(ctx context.Context, sys System, dir string) error {
	from, err := transfer.OpenFolder(ctx, dir, quiet)
	if err != nil {
		return err
	}
	defer from.Close()
	f.missing(sys, from)
	return from.Dump(ctx, sys.Stdout, f.topic)
}

// missing reports what the log lacks.
func (f *storageFlags) missing(sys System, from *transfer.Source) {
	const most = 10
	for i, text := range from.Missing {
		if i == most {
			fmt.Fprintf(sys.Stderr, "warning: and %d more places; tidegate storage check lists them\n", len(from.Missing)-most)
			return
		}
		fmt.Fprintln(sys.Stderr, "warning:", terminal.Line(text))
	}
}

func (f *storageFlags) export(ctx context.Context, sys System, dir string, log *slog.Logger) error {
	var from *transfer.Source
	var err error
	if dir != "" {
		from, err = transfer.OpenFolder(ctx, dir, quiet)
	} else {
		var o transfer.NATSOptions
		if o, err = f.nats(); err == nil {
			from, err = transfer.OpenNATS(ctx, o)
		}
	}
	if err != nil {
		return err
	}
	defer from.Close()
	f.missing(sys, from)
	events, err := exportTo(ctx, sys, f.out, from)
	if err == nil {
		log.Info("exported", "events", events, "last_position", from.Header.Last)
	}
	return err
}

// load runs tidegate storage import.
func (f *storageFlags) load(ctx context.Context, sys System, dir string, log *slog.Logger) error {
	in, err := openInput(sys, f.in)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	from, err := transfer.FromArchive(in)
	if err != nil {
		return err
	}
	var events uint64
	if dir != "" && !f.shared {
		events, err = transfer.IntoFolder(ctx, dir, from, f.storeSize, f.overwrite, log)
	} else {
		var o transfer.NATSOptions
		if o, err = f.nats(); err == nil {
			if dir != "" {
				o = transfer.NATSOptions{Dir: dir, Prefix: o.Prefix, MaxBody: o.MaxBody, EventsBytes: o.EventsBytes, MaxEvents: o.MaxEvents, Log: quiet}
			}
			events, err = transfer.IntoNATS(ctx, o, from, f.overwrite, log)
		}
	}
	if err != nil {
		return err
	}
	log.Info("imported", "events", events, "into", cmp.Or(dir, strings.Join(f.urls, ", ")))
	return nil
}
