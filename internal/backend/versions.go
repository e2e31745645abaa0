package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"unicode/utf8"

	"tidegate/client"
)

// Bounds of a version notice.
const (
	maxVersionBytes   = 200
	maxChangelogBytes = 64 << 10
)

// allVersions is the topic that every version stream is attached to.
const allVersions = "version"

// Version is a version notice, as it is published and as GET /api/version shows it.
type Version struct {
	Version   string `json:"version"`
	Changelog string `json:"changelog,omitempty"`
}

// check returns what is wrong with a notice, or nil.
func (v Version) check() error {
	switch {
	case v.Version == "":
		return errors.New("version must not be empty")
	case len(v.Version) > maxVersionBytes:
		return fmt.Errorf("version is longer than %d bytes", maxVersionBytes)
	case len(v.Changelog) > maxChangelogBytes:
		return fmt.Errorf("changelog is longer than %d bytes", maxChangelogBytes)
	case !utf8.ValidString(v.Version) || !utf8.ValidString(v.Changelog):
		return errors.New("version and changelog must be UTF-8")
	}
	return nil
}

// versions publishes version notices: to all on the topic "version", or to one request
// id on "version:<id>". The gateway keeps the newest of each topic. A stream is attached
// to both topics, and must begin with the newer of the two notices, once. The order in
// which versions published them decides which is newer.
//
// Its methods may be called concurrently.
type versions struct {
	gateway *client.Client
	metrics *metrics
	log     *slog.Logger
	shared  bool // others publish too: only the logs have all notices

	// publishing is a lock held over the call to the gateway, so that the order here is
	// the order of the logs. A connect never waits for it.
	publishing chan struct{} // of size 1

	lost *retrySet // request ids whose notices the gateway may have lost

	mu      sync.Mutex
	seq     uint64  // of the latest notice
	current *notice // to all; nil if there was none
	byID    *notices
	unsure  uint64 // it is unknown which notices up to this sequence the logs hold
}

// notice is a notice that has been, or is being, published.
type notice struct {
	seq     uint64 // its place in the order; 0 is "none"
	version Version
}

func newVersions(gateway *client.Client, m *metrics, log *slog.Logger) *versions {
	return &versions{
		gateway: gateway, metrics: m, log: log,
		publishing: make(chan struct{}, 1), lost: newRetrySet(), byID: newNotices(maxNotices, maxNoticeBytes),
	}
}

// newest returns the newest notice to all. It asks the gateway if none was published here,
// or if others publish too.
func (s *versions) newest(ctx context.Context) (Version, bool, error) {
	if own, ok := s.latest(); ok && !s.shared {
		return own, true, nil
	}
	return s.logged(ctx)
}

// logged reads the newest notice to all from the log.
func (s *versions) logged(ctx context.Context) (v Version, found bool, err error) {
	for e, err := range s.gateway.Events(ctx, allVersions, client.EventQuery{}) {
		if client.CodeOf(err) == client.CodeTopicNotFound {
			return v, false, nil
		}
		if err != nil {
			return v, false, err
		}
		found = json.Unmarshal([]byte(e.Data), &v) == nil
	}
	return v, found, nil
}

// latest returns the newest notice to all that this process has published.
func (s *versions) latest() (Version, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return Version{}, false
	}
	return s.current.version, true
}

// publish announces v to one request id or, if that is "", to all. It returns how many
// streams received it. Streams that connect later receive it, too.
func (s *versions) publish(ctx context.Context, requestID string, v Version) (receivers int, err error) {
	select {
	case s.publishing <- struct{}{}:
		defer func() { <-s.publishing }()
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: another version is being published", client.ErrUnreachable)
	}
	topic, scope := allVersions, "all"
	if requestID != "" {
		topic, scope = versionTopic(requestID), "one"
	}
	// The record comes before the send, so that a connect in between finds it.
	n, before := s.record(requestID, v)
	answer, err := s.gateway.Send(ctx, client.Message{Topic: topic, Event: versionEvent(v)})
	if err != nil {
		s.undo(requestID, n, before)
		s.metrics.versions.WithLabelValues(scope, outcomeFailed).Inc()
		return 0, err
	}
	s.metrics.versions.WithLabelValues(scope, outcomeTaken).Inc()
	if answer.Receivers != nil {
		receivers = *answer.Receivers
	}
	s.log.Info("version published", "topic", topic, "version", v.Version, "receivers", receivers)
	return receivers, nil
}

func versionEvent(v Version) *client.Event {
	return &client.Event{Name: "version", Data: string(encode(v))}
}

func (s *versions) record(requestID string, v Version) (n, before *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	n = &notice{seq: s.seq, version: v}
	before = s.of(requestID)
	s.set(requestID, n)
	return n, before
}

// undo takes back a record; its notice may have been published all the same.
func (s *versions) undo(requestID string, n, before *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsure = n.seq
	s.set(requestID, before)
}

// of returns the notice to a request id, or to all for "". The caller holds mu.
func (s *versions) of(requestID string) *notice {
	if requestID == "" {
		return s.current
	}
	return s.byID.find(requestID)
}

// set replaces what of returns. The caller holds mu.
func (s *versions) set(requestID string, n *notice) {
	if requestID == "" {
		s.current = n
		return
	}
	s.unsure = max(s.unsure, s.byID.put(requestID, n))
}

// versionPlan says how to attach a stream to its version topics.
type versionPlan struct {
	replay []string // topics with their history
	latest []string // topics from now on only

	requestID string
	seen      uint64 // sequence of the latest notice when the plan was made
}

// plan chooses the notice that a new stream begins with. A stream that resumes after a
// last event id goes on from there in both topics.
func (s *versions) plan(requestID string, resuming bool) versionPlan {
	if requestID == "" {
		return versionPlan{}
	}
	own := versionTopic(requestID)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := versionPlan{requestID: requestID, seen: s.seq}
	var all, one uint64
	if s.current != nil {
		all = s.current.seq
	}
	if n := s.byID.find(requestID); n != nil {
		one = n.seq
	}
	switch newest := max(all, one); {
	case s.shared: // only the gateway knows which is newer
		p.replay = []string{own, allVersions}
	case resuming, newest <= s.unsure:
		// It is unknown which is newer: the stream receives both, the newer one last.
		p.replay = []string{own, allVersions}
	case one > all:
		p.replay, p.latest = []string{own}, []string{allVersions}
	default:
		p.replay, p.latest = []string{allVersions}, []string{own}
	}
	return p
}

// sendMissed is called after a stream was attached as planned. A notice that was published
// since may have come too late for the plan and too early for the stream. It is sent to the
// stream itself, which then may receive it twice.
func (s *versions) sendMissed(ctx context.Context, token string, p versionPlan) error {
	missed := s.missed(p)
	if missed == nil {
		return nil
	}
	_, err := s.gateway.Send(ctx, client.Message{Token: token, Event: versionEvent(missed.version)})
	return err
}

// missed returns the notice that a stream may have missed, or nil.
func (s *versions) missed(p versionPlan) *notice {
	if len(p.latest) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.current
	if p.latest[0] != allVersions {
		n = s.byID.find(p.requestID)
	}
	if n == nil || n.seq <= p.seen {
		return nil
	}
	return n
}
