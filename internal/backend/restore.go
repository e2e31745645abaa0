package backend

import (
	"context"
	"fmt"

	"tidegate/client"
)

// restoreIfLost is called when a stream was attached as planned, with its topics
// as it found them. A gateway that was started anew has none of the notices
// that are known here; they are then published again, in the background.
func (s *versions) restoreIfLost(p versionPlan, topics map[string]client.Topic) {
	if p.requestID == "" || s.shared {
		return
	}
	all, own := s.valid(p.requestID)
	lost := func(n *notice, topic string) bool {
		info, told := topics[topic]
		return n != nil && told && info.Appended == 0
	}
	if lost(all, allVersions) || lost(own, versionTopic(p.requestID)) {
		// The set is full only if the gateway is away, and then nothing can be done.
		s.lost.add(p.requestID)
	}
}

// valid returns the notice to everybody and the newer one to a request id; each
// may be nil.
func (s *versions) valid(requestID string) (all, own *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, own = s.current, s.byID.find(requestID)
	if all != nil && own != nil && own.seq < all.seq {
		own = nil
	}
	return all, own
}

// restore publishes again what the gateway lacks of the notices for a request
// id. The one to everybody comes first: it goes to all streams, and those that
// have a newer one of their own must be told that one last.
func (s *versions) restore(ctx context.Context, requestID string) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: a version is being published", client.ErrUnreachable)
	}
	all, own := s.valid(requestID)
	if err := s.restoreOne(ctx, allVersions, all); err != nil {
		return err
	}
	return s.restoreOne(ctx, versionTopic(requestID), own)
}

func (s *versions) restoreOne(ctx context.Context, topic string, n *notice) error {
	if n == nil {
		return nil
	}
	info, err := s.gateway.Topic(ctx, topic)
	if err != nil && client.CodeOf(err) != client.CodeTopicNotFound {
		return err
	}
	if info.Appended > 0 {
		return nil
	}
	if _, err := s.gateway.Send(ctx, client.Message{Topic: topic, Event: versionEvent(n.version)}); err != nil {
		return err
	}
	s.log.Info("version published again to a gateway that did not have it", "topic", topic, "version", n.version.Version)
	return nil
}
