package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
)

// Need is what a process needs of the deployment's streams.
type Need uint8

const (
	NeedLog      Need = 1 << iota // the log of all topics
	NeedSessions                  // session records, for failover
	NeedNodes                     // leases and registrations of nodes
	NeedTasks                     // records, queue, leases and results of tasks
)

// TaskStreams is where tasks are kept.
type TaskStreams struct {
	Records, Queue jetstream.Stream
	Leases         jetstream.KeyValue
	Results        jetstream.ObjectStore
}

const (
	kvPrefix, objectPrefix = "KV_", "OBJ_" // of the streams that buckets are

	repeatWindow = 2 * time.Minute // within it a Msg-Id is stored once
	// markerLife is how long a bucket keeps the marker of an expired key. It must be longer
	// than a watcher may be disconnected.
	markerLife = time.Minute
)

// definition is a stream as it should be. config.Replicas is filled in when it is
// made, and config.MaxBytes if it is 0.
type definition struct {
	config jetstream.StreamConfig
	// most and part bound a new stream without a configured size: at most most
	// bytes, and a part-th of the free space.
	most, part int64
	generation bool // its metadata hold the generation of event ids
}

// definitions lists the streams of needs. Each has a bound. Only streams with a single copy
// are read without asking the leader: of reads from followers of three, 4 in 100 were
// stale under load.
func (e *Engine) definitions(needs Need) (all []definition) {
	if needs&NeedLog != 0 {
		all = append(all, e.events())
	}
	if needs&NeedSessions != 0 {
		all = append(all, e.sessions())
	}
	if needs&NeedNodes != 0 {
		all = append(all, e.bucket("NODES"))
	}
	if needs&NeedTasks != 0 {
		all = append(all, e.taskRecords(), e.taskQueue(), e.bucket("LEASE"), e.objects("RESULTS"))
	}
	return all
}

func (e *Engine) events() definition {
	c := e.plain("EV", "ev.>")
	c.Discard, c.MaxMsgsPerSubject, c.MaxBytes, c.AllowMsgTTL = jetstream.DiscardOld, e.opts.MaxEvents, e.opts.EventsBytes, true
	return definition{config: c, most: 1 << 30, part: 4, generation: true}
}

func (e *Engine) sessions() definition {
	c := e.plain("ST", "st.>")
	c.MaxMsgsPerSubject, c.MaxBytes = 1, e.opts.SessionsBytes
	return definition{config: c, most: 256 << 20, part: 16}
}

func (e *Engine) taskRecords() definition {
	c := e.plain("TASKS", "tk.s.>")
	c.MaxMsgsPerSubject, c.MaxBytes, c.AllowMsgTTL = 1, e.opts.TasksBytes, true
	return definition{config: c, most: 256 << 20, part: 16}
}

func (e *Engine) taskQueue() definition {
	c := e.plain("TASKQ", "tk.q.>")
	c.MaxMsgsPerSubject, c.MaxBytes, c.Retention = 1, e.opts.QueueBytes, jetstream.WorkQueuePolicy
	c.DiscardNewPerSubject = true // a task is in the queue once, however often it is put there
	return definition{config: c, most: 64 << 20, part: 32}
}

// plain is a stream on disk that refuses what does not fit. The prefix is put
// before its name and its subject.
func (e *Engine) plain(name, subject string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: e.StreamName(name), Subjects: []string{e.Subject(subject)},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgSize: int32(e.opts.MaxBody + envelope), Duplicates: repeatWindow,
	}
}

// bucket is the stream that the client library would make for a bucket with a TTL for each
// key. The exception: direct reads are allowed only where they give the newest value.
func (e *Engine) bucket(name string) definition {
	return definition{most: 16 << 20, part: 64, config: jetstream.StreamConfig{
		Name: kvPrefix + e.StreamName(name), Subjects: []string{"$KV." + e.StreamName(name) + ".>"},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 1, MaxMsgSize: -1, Duplicates: repeatWindow,
		AllowRollup: true, DenyDelete: true, AllowMsgTTL: true, SubjectDeleteMarkerTTL: markerLife,
	}}
}

// objects is the stream that the client would make for an object store, with the
// same exception.
func (e *Engine) objects(name string) definition {
	subjects := "$O." + e.StreamName(name)
	return definition{most: 1 << 30, part: 8, config: jetstream.StreamConfig{
		Name: objectPrefix + e.StreamName(name), Subjects: []string{subjects + ".C.>", subjects + ".M.>"},
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, MaxBytes: e.opts.ResultsBytes,
		MaxMsgsPerSubject: -1, MaxMsgSize: -1, Duplicates: repeatWindow,
		AllowRollup: true,
	}}
}

// ensure makes the streams of needs, or changes those that are there to what is configured.
// Several nodes may do so at once; in one process one goroutine at a time calls it. In the
// data folder everything is synced when it returns. Otherwise a power failure would lose a
// stream that was made seconds ago as a whole.
func (e *Engine) ensure(ctx context.Context, needs Need) (made map[string]jetstream.Stream, err error) {
	made, changed := map[string]jetstream.Stream{}, false
	for _, d := range e.definitions(needs) {
		s, did, err := e.make(ctx, d)
		if err != nil {
			return nil, err
		}
		made[d.config.Name], changed = s, changed || did
		e.mu.Lock()
		e.made[d.config.Name] = true
		if d.generation {
			e.generation = Generation(s.CachedInfo())
		}
		e.mu.Unlock()
	}
	if changed {
		if err := e.Sync(); err != nil {
			return nil, err
		}
	}
	if needs&NeedLog != 0 && e.needsGeneration() {
		return made, e.folder.generationDrawn()
	}
	return made, nil
}

// needsGeneration reports whether the generation of event ids has to change.
func (e *Engine) needsGeneration() bool { return e.folder != nil && e.folder.record.Redraw }

// EventStream makes the stream of the event log, unless it is there.
func (e *Engine) EventStream(ctx context.Context) (jetstream.Stream, error) {
	made, err := e.ensure(ctx, NeedLog)
	return made[e.StreamName("EV")], err
}

// SessionStream makes the stream of session records, unless it is there.
func (e *Engine) SessionStream(ctx context.Context) (jetstream.Stream, error) {
	made, err := e.ensure(ctx, NeedSessions)
	return made[e.StreamName("ST")], err
}

// NodeBucket makes the bucket of leases and registrations, unless it is there.
func (e *Engine) NodeBucket(ctx context.Context) (jetstream.KeyValue, error) {
	if _, err := e.ensure(ctx, NeedNodes); err != nil {
		return nil, err
	}
	return e.keys(ctx, "NODES")
}

// TaskStreams makes the streams and buckets of tasks, unless they are there.
func (e *Engine) TaskStreams(ctx context.Context) (TaskStreams, error) {
	made, err := e.ensure(ctx, NeedTasks)
	if err != nil {
		return TaskStreams{}, err
	}
	leases, err := e.keys(ctx, "LEASE")
	if err != nil {
		return TaskStreams{}, err
	}
	var results jetstream.ObjectStore
	err = awaitBucket(ctx, func(ctx context.Context) (err error) {
		results, err = e.js.ObjectStore(ctx, e.StreamName("RESULTS"))
		return err
	})
	if err != nil {
		return TaskStreams{}, fmt.Errorf("object store %s: %w", e.StreamName("RESULTS"), err)
	}
	return TaskStreams{made[e.StreamName("TASKS")], made[e.StreamName("TASKQ")], leases, results}, nil
}

// keys opens a bucket that is there.
func (e *Engine) keys(ctx context.Context, name string) (jetstream.KeyValue, error) {
	var kv jetstream.KeyValue
	err := awaitBucket(ctx, func(ctx context.Context) (err error) {
		kv, err = e.js.KeyValue(ctx, e.StreamName(name))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", e.StreamName(name), err)
	}
	return kv, nil
}

// awaitBucket calls look until it finds a bucket that has been made. Servers of a cluster
// that do not know it yet answer that it is not there.
func awaitBucket(ctx context.Context, look func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, answerWait)
		err := look(once)
		done()
		missing := errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)
		if !missing || backoff.Wait(ctx, bucketPause) != nil {
			return err
		}
	}
}

const (
	bucketTimeout = 30 * time.Second
	bucketPause   = 100 * time.Millisecond
)
