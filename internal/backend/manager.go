package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"tidegate/client"
	"tidegate/internal/wire"
)

// connectBudget bounds all work for one connect callback. It is shorter than the
// gateway's default --callback-timeout of 5 s, so that the client receives the reason and
// not a timeout.
const connectBudget = 4 * time.Second

// manager turns connects into subscriptions. It has no table of streams, which could
// hold one that is gone or lose one that is open. Its methods may be called concurrently
// and hold no lock while they call the gateway.
type manager struct {
	gateway  *client.Client
	tasks    *taskLogs
	versions *versions
	replace  bool // keep only the newest stream of an identifier
	ended    *recentTokens
	rights   *rights
	expiries *expiries
	metrics  *metrics
	log      *slog.Logger
}

// connect attaches the stream of c to the topics of its URL. It does so before the
// callback is answered, so that the history follows the headers at once. A client that has
// left meanwhile is not an error: its disconnect callback follows.
func (m *manager) connect(ctx context.Context, c client.Callback) error {
	ctx, cancel := context.WithTimeout(ctx, connectBudget)
	defer cancel()
	r, err := parseRoute(c.Request.URL)
	if err == nil {
		err = m.admit(ctx, c, r)
	}
	refusal, _ := errors.AsType[*answerableError](err)
	switch {
	case err == nil:
		m.metrics.connects.WithLabelValues("accepted").Inc()
		m.log.Debug("stream connected", streamAttrs(c, r)...)
		return nil
	case client.CodeOf(err) == client.CodeTokenNotFound:
		m.metrics.connects.WithLabelValues("left").Inc()
		m.log.Debug("stream left while it connected", streamAttrs(c, r)...)
		return nil
	case refusal != nil:
		m.metrics.connects.WithLabelValues("not_allowed").Inc()
		m.log.Debug("stream refused", "stream", fingerprint(c.Token), "url", maskURL(c.Request.URL), "cause", err)
		return refusal
	case errors.Is(err, errNotRoutable) || client.CodeOf(err) == client.CodeInvalidTopic:
		m.metrics.connects.WithLabelValues("not_routable").Inc()
		m.log.Debug("stream refused", "stream", fingerprint(c.Token), "url", maskURL(c.Request.URL), "cause", err)
		return badRequest("Cannot route URL: %s", cut(wire.MaskAccess(c.Request.URL), maxEchoBytes))
	default:
		m.metrics.connects.WithLabelValues("failed").Inc()
		return fmt.Errorf("connect stream %s: %w", fingerprint(c.Token), err)
	}
}

// admit attaches the stream if its client may read the tasks it asks for.
func (m *manager) admit(ctx context.Context, c client.Callback, r route) error {
	until, err := m.rights.connect(ctx, c, r)
	if err != nil {
		return err
	}
	if !until.IsZero() && !m.expiries.add(c.Token, until) {
		return errManyExpiring
	}
	if err = m.attach(ctx, c, r); err != nil {
		m.expiries.remove(c.Token)
	}
	return err
}

// attach subscribes the stream, and has the services send what its topics lack.
func (m *manager) attach(ctx context.Context, c client.Callback, r route) error {
	resuming := c.Request.Headers["last-event-id"] != "" || r.lastEventID != ""
	plan := m.versions.plan(r.requestID, resuming)
	topics := make(map[string]client.Topic, len(r.tasks)+2)
	unknown, err := m.tasks.unknown(ctx, r.tasks)
	if err != nil {
		return err
	}
	for _, s := range subscriptions(c.Token, r, plan, unknown) {
		answer, err := m.gateway.Subscribe(ctx, s)
		if err != nil {
			return err
		}
		maps.Copy(topics, answer.Topics)
	}
	if err := m.versions.sendMissed(ctx, c.Token, plan); err != nil {
		return err
	}
	m.versions.restoreIfLost(plan, topics)
	if err := m.tasks.restoreLost(ctx, r.tasks, topics); err != nil {
		return err
	}
	if m.replace {
		m.replaceOlder(ctx, c.Token, r)
	}
	return nil
}

// subscriptions returns the calls that attach a stream: one for all topics with their
// history, and one for those from now on. A task that is unknown here may run in another
// process: then it has a topic.
func subscriptions(token string, r route, plan versionPlan, unknown map[string]bool) []client.Subscription {
	var calls []client.Subscription
	replayed := plan.replay
	var absent []client.AbsentTopic
	for _, id := range r.tasks {
		if unknown[id] {
			absent = append(absent, notFound(id))
			continue
		}
		replayed = append(replayed, taskTopic(id))
	}
	if len(replayed)+len(absent) > 0 {
		calls = append(calls, client.Subscription{Token: token, Topics: replayed, Absent: absent})
	}
	if len(plan.latest) > 0 {
		calls = append(calls, client.Subscription{Token: token, Topics: plan.latest, From: "latest"})
	}
	return calls
}

// disconnect counts the end of a stream, once however often the callback is delivered.
// There is nothing else to do.
func (m *manager) disconnect(c client.Callback) {
	m.expiries.remove(c.Token)
	r, err := parseRoute(c.Request.URL)
	if err != nil {
		m.log.Debug("stream without a route ended", "stream", fingerprint(c.Token), "url", maskURL(c.Request.URL))
		return
	}
	if !m.ended.first(c.Token) {
		m.log.Debug("disconnect delivered again", "stream", fingerprint(c.Token))
		return
	}
	m.metrics.disconnects.WithLabelValues(reasonLabel(c.Reason)).Inc()
	m.log.Debug("stream disconnected", append(streamAttrs(c, r), endAttrs(c)...)...)
}

// reasonLabel keeps the metric's label to the closed list of reasons.
func reasonLabel(reason client.Reason) string {
	switch reason {
	case client.ClientClosed, client.ServerClosed, client.Failed:
		return string(reason)
	default:
		return "other"
	}
}
