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
func (s *Store) write(ctx context.Context, c *change) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.WriteTimeout)
	defer cancel()
	var err error
	if c.record == nil {
		err = s.st.Purge(ctx, jetstream.WithPurgeSubject(s.subject(c.key)))
	} else if err = s.register(ctx, c.key.node); err == nil {
		_, err = s.e.JetStream().Publish(ctx, s.subject(c.key), c.record)
	}
	final := finalRefusal(err)
	switch {
	case err == nil && c.record == nil:
		s.deleted.Add(1)
	case err == nil:
		s.written.Add(1)
	case c.record != nil && nats.IsFull(err):
		// The stream is served now: room later is of no use to it.
		final = true
		s.dropPut("storage has no room", err)
	case !final:
		s.log.Debug("change of a session record is tried again", "error", err)
	case c.record == nil:
		s.dropDelete("refused", err)
	default:
		s.dropPut("refused", err)
	}
	s.queue.resolve(c, err != nil && !final, final)
}

// finalRefusal reports whether a change will never be possible, and the engine is not
// just away.
func finalRefusal(err error) bool {
	if errors.Is(err, natsgo.ErrMaxPayload) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code == http.StatusBadRequest && !nats.IsWrongSequence(err)
}

var errNotJoined = errors.New("the node has no lease yet")

// register registers a node before a record of it is written, unless that was done within
// registrationLife. The node may have a name that this process has given up since and that
// others have taken over: they look again then.
func (s *Store) register(ctx context.Context, node string) error {
	now := time.Now()
	s.mu.Lock()
	since, ok := s.registered[node]
	s.mu.Unlock()
	// Both clocks: the monotonic one stands still while the machine is suspended.
	if ok && now.Sub(since) < registrationLife && now.Round(0).Sub(since.Round(0)).Abs() < registrationLife {
		return nil
	}
	if !s.nodes.MayRecord(node) {
		return errNotJoined
	}
	if err := s.nodes.Register(ctx, node); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, since := range s.registered {
		if now.Sub(since) > registrationLife {
			delete(s.registered, name)
		}
	}
	s.registered[node] = now
	return nil
}
