package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
)

// leaseBucket keeps leases in a KV bucket, which must allow a TTL per key
// (LimitMarkerTTL).
type leaseBucket struct {
	js  jetstream.JetStream
	kv  jetstream.KeyValue
	ttl time.Duration // whole seconds
}

var _ leaseStore = leaseBucket{}

// create is decided by the bucket's leader, even if a replica that answers reads is
// behind.
func (b leaseBucket) create(ctx context.Context, key, value string) (uint64, error) {
	revision, err := b.kv.Create(ctx, key, []byte(value), jetstream.KeyTTL(b.ttl))
	if !errors.Is(err, jetstream.ErrKeyExists) && !nats.IsWrongSequence(err) { // the second is the answer if two create it at once
		return revision, err
	}
	revision, err = b.ownRevision(ctx, key, value)
	if errors.Is(err, errLost) {
		return 0, errHeld
	}
	return revision, err
}

func (b leaseBucket) renew(ctx context.Context, key, value string, revision uint64) (uint64, error) {
	next, err := b.put(ctx, key, value, b.ttl, revision)
	if !nats.IsWrongSequence(err) {
		return next, err
	}
	// Either another node has the key, or an earlier renewal did arrive.
	if revision, err = b.ownRevision(ctx, key, value); err != nil {
		return 0, err
	}
	return b.put(ctx, key, value, b.ttl, revision)
}

// ownRevision is the revision of a key that has our value, or errLost.
func (b leaseBucket) ownRevision(ctx context.Context, key, value string) (uint64, error) {
	entry, err := b.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound): // includes ErrKeyDeleted
		return 0, errLost
	case err != nil:
		return 0, err
	case string(entry.Value()) != value:
		return 0, errLost
	}
	return entry.Revision(), nil
}

// release deletes a lease, so that nobody has to wait until it runs out.
func (b leaseBucket) release(ctx context.Context, key string, revision uint64) error {
	return b.kv.Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(b.ttl))
}

// put replaces a key that is at revision with one that has a TTL. The KV interface gives
// a TTL to new keys only.
func (b leaseBucket) put(ctx context.Context, key, value string, ttl time.Duration, revision uint64) (uint64, error) {
	m := &natsgo.Msg{Subject: "$KV." + b.kv.Bucket() + "." + key, Data: []byte(value)}
	ack, err := b.js.PublishMsg(ctx, m, jetstream.WithMsgTTL(ttl), jetstream.WithExpectLastSequencePerSubject(revision))
	if err != nil {
		return 0, fmt.Errorf("put %s: %w", key, err)
	}
	return ack.Sequence, nil
}
