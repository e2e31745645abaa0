package sessions

import (
	"context"
	"errors"
	"net/http"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
)

// write makes one change.
func (l *Store) write(ctx context.Context, c *change) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	var err error
	if c.record == nil {
		err = l.st.Purge(ctx, jetstream.WithPurgeSubject(l.subject(c.key)))
	} else if err = l.register(ctx, c.key.node); err == nil {
		_, err = l.e.JetStream().Publish(ctx, l.subject(c.key), c.record)
	}
	final := finalRefusal(err)
	switch {
	case err == nil && c.record == nil:
		l.deleted.Add(1)
	case err == nil:
		l.written.Add(1)
	case c.record != nil && nats.IsFull(err):
		// The stream is served now: that there may be room later is of no use to it.
		final = true
		l.dropPut("storage has no room", err)
	case !final:
		l.log.Debug("change of the ledger is made again", "error", err)
	case c.record == nil:
		l.dropDelete("refused", err)
	default:
		l.dropPut("refused", err)
	}
	l.queue.resolve(c, err != nil && !final, final)
}

// finalRefusal tells a change that will never be possible from an engine that is away.
func finalRefusal(err error) bool {
	if errors.Is(err, natsgo.ErrMaxPayload) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code == http.StatusBadRequest && !nats.IsWrongSequence(err)
}

var errNotJoined = errors.New("the node has no lease yet")

// enrol puts a node on the roster, unless it was put there a short while ago. It
// is on it before a record is written, also if it is a name that this process
// has given up since and others have dealt with: they look again then.
func (l *Store) register(ctx context.Context, node string) error {
	now := time.Now()
	l.mu.Lock()
	since, ok := l.registered[node]
	l.mu.Unlock()
	// Both clocks: the monotonic one stands still while the machine is suspended.
	if ok && now.Sub(since) < registrationLife && now.Round(0).Sub(since.Round(0)).Abs() < registrationLife {
		return nil
	}
	if !l.nodes.MayRecord(node) {
		return errNotJoined
	}
	if err := l.nodes.Register(ctx, node); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, since := range l.registered {
		if now.Sub(since) > registrationLife {
			delete(l.registered, name)
		}
	}
	l.registered[node] = now
	return nil
}
