package task

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a [Service]. The zero value of each means its default.
type Options struct {
	// Publisher takes the events of the tasks. By default that is a [Log], which
	// keeps them in memory for [Service.Watch]. To show tasks through a gateway,
	// use package task/publish.
	Publisher Publisher

	// Store keeps the tasks. By default they live in memory and end with the
	// process; then QueueLimit, MaxTasks, MaxBytes and CleanupInterval are its
	// bounds. Another store has its own.
	Store Store

	Workers   int           // tasks that run at the same time; default 4
	Timeout   time.Duration // of one run, for types without their own; default 5m
	MaxStrays int           // functions that may go on after their timeout without blocking a worker; default 64

	RetryPause time.Duration // before the second attempt, for types without their own; default 1s, doubled with each further one up to 5m

	QueueLimit      int           // pending tasks; default 10000, beyond it ErrBusy
	MaxTasks        int           // tasks kept; default 100000, beyond it the one that finished first is deleted, or ErrBusy
	MaxBytes        int           // of parameters, results, errors and latest progress kept; default 256 MiB, beyond it as for MaxTasks
	MaxParamsBytes  int           // of one task's parameters; default 1 MiB, beyond it ErrBadParams
	MaxResultBytes  int           // of one task's encoded result or error; default 64 MiB, beyond it the task fails
	Retention       time.Duration // how long a finished task is kept after its last event went out; default 24h
	CleanupInterval time.Duration // pause between two sweeps for tasks to delete; default 1m

	OutboxEvents int // events of one task that wait for the Publisher; default 1000, then Progress blocks
	OutboxBytes  int // bytes of data of them; default 4 MiB

	// UnpublishedBytes bounds the data of all tasks that waits for the Publisher;
	// default 256 MiB, beyond it pending tasks stay pending.
	UnpublishedBytes int

	BatchEvents   int // events in one call of Publish; default 256
	BatchBytes    int // bytes of data in one call, unless a single event is larger; default 512 KiB
	MaxEventBytes int // bytes of data of one event; default 900 KiB, at least 1 KiB

	// StatusPath precedes the id of a task in the status_url of an event whose
	// result was too large to publish; default "/api/tasks/", at most 256 bytes.
	StatusPath string

	// KeySecret makes the ids of tasks that have a key hard to guess, for those who
	// guess the key. Services that share a store have the same.
	KeySecret []byte

	// OnDelete, if set, is called for each task that is deleted, after its last
	// event: the owner of the logs may then delete the task's log. Services that
	// share a store may call it once each. It is called without locks, possibly from
	// several goroutines.
	OnDelete func(id string)

	Observer Observer     // default: none
	Log      *slog.Logger // default: discarded
}

// minEventBytes is room for any terminal event whose payload was left out.
const minEventBytes = 1 << 10

// withDefaults fills in what is zero and reports everything that is wrong.
func (o Options) withDefaults() (Options, error) {
	errs := []error{
		setDefault("Workers", &o.Workers, 4),
		setDefault("Timeout", &o.Timeout, 5*time.Minute),
		setDefault("MaxStrays", &o.MaxStrays, 64),
		setDefault("RetryPause", &o.RetryPause, time.Second),
		setDefault("QueueLimit", &o.QueueLimit, 10_000),
		setDefault("MaxTasks", &o.MaxTasks, 100_000),
		setDefault("MaxBytes", &o.MaxBytes, 256<<20),
		setDefault("MaxParamsBytes", &o.MaxParamsBytes, 1<<20),
		setDefault("MaxResultBytes", &o.MaxResultBytes, 64<<20),
		setDefault("Retention", &o.Retention, 24*time.Hour),
		setDefault("CleanupInterval", &o.CleanupInterval, time.Minute),
		setDefault("OutboxEvents", &o.OutboxEvents, 1000),
		setDefault("OutboxBytes", &o.OutboxBytes, 4<<20),
		setDefault("UnpublishedBytes", &o.UnpublishedBytes, 256<<20),
		setDefault("BatchEvents", &o.BatchEvents, 256),
		setDefault("BatchBytes", &o.BatchBytes, 512<<10),
		setDefault("MaxEventBytes", &o.MaxEventBytes, 900<<10),
	}
	o.StatusPath = cmp.Or(o.StatusPath, "/api/tasks/")
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Observer = cmp.Or[Observer](o.Observer, noObserver{})
	if o.Publisher == nil {
		o.Publisher = NewLog(LogOptions{})
	}
	if o.OnDelete == nil {
		o.OnDelete = func(string) {}
	}
	if err := errors.Join(append(errs, o.check())...); err != nil {
		return Options{}, fmt.Errorf("task: options: %w", err)
	}
	return o, nil
}

// check reports what does not fit together.
func (o Options) check() error {
	var errs []error
	if o.MaxEventBytes < minEventBytes {
		errs = append(errs, fmt.Errorf("MaxEventBytes is %d, must be at least %d", o.MaxEventBytes, minEventBytes))
	}
	if o.OutboxBytes < o.MaxEventBytes {
		errs = append(errs, fmt.Errorf("OutboxBytes is %d, must hold one event of MaxEventBytes, %d", o.OutboxBytes, o.MaxEventBytes))
	}
	if o.MaxBytes < o.MaxParamsBytes+o.MaxResultBytes {
		errs = append(errs, fmt.Errorf("MaxBytes is %d, must hold one task of MaxParamsBytes and MaxResultBytes, %d",
			o.MaxBytes, o.MaxParamsBytes+o.MaxResultBytes))
	}
	if len(o.StatusPath) > 256 {
		errs = append(errs, fmt.Errorf("StatusPath has %d bytes, may have 256", len(o.StatusPath)))
	}
	return errors.Join(errs...)
}

// setDefault gives *field its default if it is zero.
func setDefault[T int | time.Duration](name string, field *T, byDefault T) error {
	if *field < 0 {
		return fmt.Errorf("%s is %v, must not be negative", name, *field)
	}
	*field = cmp.Or(*field, byDefault)
	return nil
}
