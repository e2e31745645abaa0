package nats

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/former"
)

const (
	generationKey = "tidegate_generation" // in the metadata of EV, see Metadata
	secretKey     = "tidegate_id_secret"  // beside it: what event ids are sealed with, the same for all nodes

	makeWait  = 30 * time.Second // for one stream: elections, peers that are just being started
	makeRetry = 250 * time.Millisecond

	manyReplicas = 3
)

// make makes one stream, or changes it to what is configured, and verifies that the server
// did so. changed reports whether anything had to be done.
func (e *Engine) make(ctx context.Context, d definition) (s jetstream.Stream, changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, makeWait)
	defer cancel()
	ctx, cancel = e.untilRefused(ctx)
	defer cancel()
	var reason error // the last one that the server gave: more useful than a timeout
	for {
		s, changed, err = e.makeOnce(ctx, d)
		if APIError(err).ErrorCode != 0 {
			reason = err
		}
		if err == nil || !e.isTemporary(err) || backoff.Wait(ctx, makeRetry) != nil {
			break
		}
	}
	if err != nil {
		err = cmp.Or(reason, err)
		return nil, false, fmt.Errorf("stream %s: %w", d.config.Name, e.explain(err))
	}
	return s, changed, nil
}

func (e *Engine) makeOnce(ctx context.Context, d definition) (s jetstream.Stream, changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWait)
	defer cancel()
	s, err = e.js.Stream(ctx, d.config.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s, err = e.create(ctx, d)
		return s, true, err
	case err != nil:
		return nil, false, err
	}
	return e.adjust(ctx, d, s)
}

// create makes a stream. If another node has made it meanwhile, the error is
// [jetstream.ErrStreamNameAlreadyInUse].
func (e *Engine) create(ctx context.Context, d definition) (jetstream.Stream, error) {
	c := d.config
	c.MaxBytes = cmp.Or(c.MaxBytes, e.share(d))
	c.Replicas = e.copies()
	if d.generation {
		c.Metadata = map[string]string{generationKey: RandomName(), secretKey: rand.Text()}
	}
	for {
		c.AllowDirect = c.Replicas == 1
		s, err := e.js.CreateStream(ctx, c)
		if e.opts.Replicas == 0 && c.Replicas > 1 && isTooFew(err) {
			c.Replicas = 1
			continue
		}
		if err != nil {
			return nil, err
		}
		e.log.Info("stream made", "stream", c.Name, "replicas", c.Replicas, "max_bytes", c.MaxBytes)
		return s, verifyApplied(c, s)
	}
}

// adjust changes a stream to what is configured. What is not configured stays as
// it is.
func (e *Engine) adjust(ctx context.Context, d definition, s jetstream.Stream) (_ jetstream.Stream, changed bool, err error) {
	has := s.CachedInfo().Config
	want := e.merged(has, d)
	for {
		changes := differences(has, want)
		if len(changes) == 0 {
			return s, false, nil
		}
		s, err := e.js.UpdateStream(ctx, want)
		if e.opts.Replicas == 0 && want.Replicas != has.Replicas && isAboutCopies(err) {
			e.log.Debug("stream keeps its replicas", "stream", has.Name, "replicas", has.Replicas, "err", err)
			want.Replicas, want.AllowDirect = has.Replicas, has.Replicas == 1
			continue
		}
		if err != nil {
			return nil, false, err
		}
		for _, c := range changes {
			e.log.Warn("stream was not as configured: changed", "stream", has.Name, "what", c.what, "from", c.from, "to", c.to)
		}
		return s, true, verifyApplied(want, s)
	}
}

// merged is what a stream that is there should become. Settings that are not ours, such as
// a placement, stay.
func (e *Engine) merged(has jetstream.StreamConfig, d definition) jetstream.StreamConfig {
	want, c := has, d.config
	want.Subjects, want.Storage, want.Retention, want.Discard = c.Subjects, c.Storage, c.Retention, c.Discard
	want.MaxMsgsPerSubject, want.MaxMsgSize, want.MaxAge = c.MaxMsgsPerSubject, c.MaxMsgSize, c.MaxAge
	want.DiscardNewPerSubject = c.DiscardNewPerSubject
	want.Duplicates, want.AllowMsgTTL, want.AllowRollup = c.Duplicates, c.AllowMsgTTL, c.AllowRollup
	want.DenyDelete, want.SubjectDeleteMarkerTTL = c.DenyDelete, c.SubjectDeleteMarkerTTL
	if want.MaxBytes = cmp.Or(c.MaxBytes, has.MaxBytes); want.MaxBytes <= 0 {
		want.MaxBytes = e.share(d)
	}
	// Servers that are away for a moment must not lower the number of copies.
	if want.Replicas = e.copies(); e.opts.Replicas == 0 {
		want.Replicas = max(has.Replicas, want.Replicas)
	}
	want.AllowDirect = want.Replicas == 1
	if d.generation {
		want.Metadata = e.metadata(has.Metadata)
	}
	return want
}

// metadata is what the metadata of the log's stream should become.
func (e *Engine) metadata(has map[string]string) map[string]string {
	want := maps.Clone(has)
	if want == nil {
		want = map[string]string{}
	}
	if Metadata(has, generationKey) == "" || e.needsGeneration() {
		want[former.MetadataKey(has, generationKey)] = RandomName()
	}
	if want[secretKey] == "" { // it was made before ids were sealed
		want[secretKey] = rand.Text()
	}
	return want
}

// copies is how many replicas to try for.
func (e *Engine) copies() int {
	switch {
	case e.opts.Replicas > 0:
		return e.opts.Replicas
	case e.nc.ConnectedClusterName() != "":
		return manyReplicas
	default:
		return 1
	}
}

// share is the bound of a new stream without a configured one.
func (e *Engine) share(d definition) int64 {
	if e.opts.Dir == "" {
		return d.most
	}
	disk, err := e.opts.space(e.opts.Dir)
	if err != nil || disk.total == 0 {
		return d.most
	}
	return min(d.most, max(disk.free/d.part, 1<<20))
}

// isTooFew reports whether a cluster does not have enough servers for so many copies. It is
// false if they are only away: a stream made with one copy then would keep it unnoticed.
func isTooFew(err error) bool {
	switch api := APIError(err); api.ErrorCode {
	case codeNotReplicated:
		return true
	case codeNoPeers:
		return !strings.Contains(api.Description, "offline")
	default:
		return false
	}
}

// isAboutCopies reports whether err says that so many copies cannot be made.
func isAboutCopies(err error) bool {
	switch APIError(err).ErrorCode {
	case codeNoPeers, codeNoResources, codeNotReplicated, codeNoReplicaLimits:
		return true
	default:
		return false
	}
}

// isTemporary reports whether trying again may help.
func (e *Engine) isTemporary(err error) bool {
	if e.refusal() != nil {
		return false
	}
	switch APIError(err).ErrorCode {
	case codeNoPeers, codeNoLeader, codeNoResources, jetstream.JSErrCodeStreamNameInUse, jetstream.JSErrCodeJetStreamNotEnabled:
		return true
	}
	for _, passing := range []error{context.DeadlineExceeded, natsgo.ErrTimeout, natsgo.ErrNoResponders, natsgo.ErrDisconnected, natsgo.ErrReconnectBufExceeded} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// explain adds what the user can do.
func (e *Engine) explain(err error) error {
	switch code := APIError(err).ErrorCode; {
	case e.refusal() != nil:
		return fmt.Errorf("not permitted: %w", e.refusal())
	case code == codeNoStorage:
		return fmt.Errorf("%w: the server or the account gives less than the stream's bound: raise its limit, or lower the bound", err)
	case isAboutCopies(err):
		return fmt.Errorf("%w: %d replicas cannot be made: start the servers that are missing, or set --nats-replicas", err, e.copies())
	default:
		return err
	}
}

// verifyApplied checks that a server did as asked. Old ones accept options that they do not
// know without an error, and keep events for ever that should expire.
func verifyApplied(asked jetstream.StreamConfig, s jetstream.Stream) error {
	changes := differences(asked, s.CachedInfo().Config)
	if len(changes) == 0 {
		return nil
	}
	var ignored []string
	for _, c := range changes {
		ignored = append(ignored, fmt.Sprintf("%s is %s, not %s", c.what, c.to, c.from))
	}
	return fmt.Errorf("the server did not make it as asked (%s): is it older than %d.%d?", strings.Join(ignored, ", "), oldestMajor, oldestMinor)
}

// Generation is the first part of the ids of a log's events, as it was drawn when its
// stream was made.
func Generation(info *jetstream.StreamInfo) string {
	return Metadata(info.Config.Metadata, generationKey)
}

// Secret is what the ids of a log's events are sealed with, "" if they are not.
func Secret(info *jetstream.StreamInfo) string { return info.Config.Metadata[secretKey] }

// Metadata is a value of a stream's metadata, under its key or the one of the program's
// former name.
func Metadata(metadata map[string]string, key string) string {
	return metadata[former.MetadataKey(metadata, key)]
}

// change is a difference of two configurations.
type change struct{ what, from, to string }

// differences lists where two configurations differ in settings that are ours.
func differences(a, b jetstream.StreamConfig) (all []change) {
	compare := func(what string, a, b any) {
		if from, to := fmt.Sprint(a), fmt.Sprint(b); from != to {
			all = append(all, change{what, from, to})
		}
	}
	compare("subjects", a.Subjects, b.Subjects)
	compare("storage", a.Storage, b.Storage)
	compare("retention", a.Retention, b.Retention)
	compare("discard", a.Discard, b.Discard)
	compare("discard_new_per_subject", a.DiscardNewPerSubject, b.DiscardNewPerSubject)
	compare("max_msgs_per_subject", a.MaxMsgsPerSubject, b.MaxMsgsPerSubject)
	compare("max_bytes", a.MaxBytes, b.MaxBytes)
	compare("max_msg_size", a.MaxMsgSize, b.MaxMsgSize)
	compare("max_age", a.MaxAge, b.MaxAge)
	compare("duplicate_window", a.Duplicates, b.Duplicates)
	compare("allow_msg_ttl", a.AllowMsgTTL, b.AllowMsgTTL)
	compare("allow_direct", a.AllowDirect, b.AllowDirect)
	compare("allow_rollup_hdrs", a.AllowRollup, b.AllowRollup)
	compare("deny_delete", a.DenyDelete, b.DenyDelete)
	compare("subject_delete_marker_ttl", a.SubjectDeleteMarkerTTL, b.SubjectDeleteMarkerTTL)
	compare("num_replicas", a.Replicas, b.Replicas)
	compare(generationKey, Metadata(a.Metadata, generationKey), Metadata(b.Metadata, generationKey))
	compare(secretKey+" is there", a.Metadata[secretKey] != "", b.Metadata[secretKey] != "") // the secret itself must not be logged
	return all
}
