package backend

import (
	"context"
	"fmt"

	"tidegate/client"
)

// restoreIfLost is called after a stream was attached, with its topics as they were. A
// gateway that was restarted may lack the notices that are known here. They are then
// published again, in the background.
func (s *versions) restoreIfLost(p versionPlan, topics map[string]client.Topic) {
	if p.requestID == "" || s.shared {
		return
	}
	all, own := s.valid(p.requestID)
	lost := func(n *notice, topic string) bool {
		info, attached := topics[topic]
		return n != nil && attached && info.Appended == 0
	}
	if lost(all, allVersions) || lost(own, versionTopic(p.requestID)) {
		// The set is full only while the gateway is away: then a restore would fail, too.
		s.lost.add(p.requestID)
	}
}

// valid returns the notice to all, and a newer one to the request id; each may be nil.
func (s *versions) valid(requestID string) (all, own *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, own = s.current, s.byID.find(requestID)
	if all != nil && own != nil && own.seq < all.seq {
		own = nil
	}
	return all, own
}

// restore publishes again the notices for a request id that the gateway lacks. The one to
// all comes first: streams with a newer notice of their own must receive that one last.
func (s *versions) restore(ctx context.Context, requestID string) error {
	select {
	case s.publishing <- struct{}{}:
		defer func() { <-s.publishing }()
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
	s.log.Info("published a version again that the gateway had lost", "topic", topic, "version", n.version.Version)
	return nil
}
