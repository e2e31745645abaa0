package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"tidegate/internal/gateway/token"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// How many items a page of a listing has.
const (
	defaultPage = 100
	maxPage     = 1000
)

// page reads ?limit=.
func page(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, wire.Errorf(http.StatusBadRequest, wire.CodeParameter, "Invalid limit: give a number from 1 to 1000")
	}
	return n, nil
}

// answerOr answers with what was found, or with the error.
func answerOr(w http.ResponseWriter, err error, found any) {
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	wire.WriteJSON(w, http.StatusOK, found)
}

// listStreams answers GET /internal/streams?topic=&limit=&after=, oldest first.
func (g *Gateway) listStreams(w http.ResponseWriter, r *http.Request) {
	found, limit, err := g.pageOfStreams(r)
	if err == nil {
		others, missing := askOthers[wire.StreamPage](g, r)
		found = joinStreams(found, others, limit)
		found.Missing = missing
	}
	answerOr(w, err, found)
}

func (g *Gateway) pageOfStreams(r *http.Request) (found wire.StreamPage, limit int, err error) {
	limit, err = page(r)
	if err != nil {
		return found, limit, err
	}
	var after uint64
	if text := r.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return found, limit, wire.Errorf(http.StatusBadRequest, wire.CodeParameter,
				"Invalid after: give the next of the page before")
		}
	}
	conns, err := g.streamsOf(r.URL.Query().Get("topic"), after)
	if err != nil {
		return found, limit, err
	}
	found.Streams = []wire.StreamInfo{}
	if len(conns) > limit {
		conns = conns[:limit]
		found.Next = strconv.FormatUint(conns[limit-1].sequence, 10)
	}
	for _, c := range conns {
		found.Streams = append(found.Streams, c.info(g.opts.Topics))
	}
	return found, limit, nil
}

// streamsOf returns the streams whose sequence is above after: of a topic, or all.
func (g *Gateway) streamsOf(name string, after uint64) ([]*conn, error) {
	if name == "" {
		return g.table.all(func(c *conn) bool { return c.sequence > after }), nil
	}
	members, err := g.opts.Topics.Members(name)
	if err != nil {
		return nil, nil // a topic that does not exist has no streams
	}
	at := make(map[*topic.Member]bool, len(members))
	for _, m := range members {
		at[m] = true
	}
	return g.table.all(func(c *conn) bool { return c.sequence > after && at[&c.member] }), nil
}

// showStream answers GET /internal/streams/{token}.
func (g *Gateway) showStream(w http.ResponseWriter, r *http.Request) {
	if node := g.holder(r.Context(), r.PathValue("token")); node != "" {
		g.relay(w, r, node, nil)
		return
	}
	var c *conn
	if t, _, ok := token.Parse(r.PathValue("token")); ok {
		c = g.table.find(t)
	}
	if c == nil {
		wire.WriteError(w, errNoToken)
		return
	}
	wire.WriteJSON(w, http.StatusOK, c.info(g.opts.Topics))
}

// closeStream answers DELETE /internal/streams/{token}?detail=: it ends a stream after
// what is queued for it.
func (g *Gateway) closeStream(w http.ResponseWriter, r *http.Request) {
	detail := wire.Detail(cmp.Or(r.URL.Query().Get("detail"), string(wire.DetailClosed)))
	if !slices.Contains([]wire.Detail{wire.DetailClosed, wire.DetailReplaced}, detail) {
		wire.WriteError(w, wire.Errorf(http.StatusBadRequest, wire.CodeParameter, "Invalid detail: give closed or replaced"))
		return
	}
	if node := g.holder(r.Context(), r.PathValue("token")); node != "" {
		g.relay(w, r, node, nil)
		return
	}
	b := stream.NewBatch()
	defer b.Flush()
	c := g.living(r.PathValue("token"))
	if c != nil {
		g.opts.Topics.DeliverPending(b, &c.member)
	}
	if c == nil || !c.stream.End(b, wire.Ending{Reason: wire.ServerClosed, Detail: detail}, nil) {
		wire.WriteError(w, errNoToken)
		return
	}
	wire.WriteJSON(w, http.StatusOK, wire.SendAnswer{Status: wire.StatusOK})
}

// listTopics answers GET /internal/topics?prefix=&open=&limit=&after=, by name.
func (g *Gateway) listTopics(w http.ResponseWriter, r *http.Request) {
	limit, err := page(r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	q := r.URL.Query()
	infos, more := g.opts.Topics.List(r.Context(), topic.Filter{
		Prefix: q.Get("prefix"), Open: q.Get("open") == "true", After: q.Get("after"), Limit: limit,
	})
	found := wire.TopicPage{Topics: infos}
	if more {
		found.Next = infos[len(infos)-1].Topic
	}
	others, missing := askOthers[wire.TopicPage](g, r)
	found = joinTopics(found, others, limit)
	found.Missing = missing
	wire.WriteJSON(w, http.StatusOK, found)
}

// showTopic answers GET /internal/topics/{topic}.
func (g *Gateway) showTopic(w http.ResponseWriter, r *http.Request) {
	info, err := g.opts.Topics.Info(r.Context(), r.PathValue("topic"))
	others, _ := askOthers[wire.TopicInfo](g, r)
	for _, o := range others {
		if err == topic.ErrNotFound { // another node may have streams at it
			info, err = o, nil
			continue
		}
		info = joinTopic(info, o)
	}
	answerOr(w, err, info)
}

// deleteTopic answers DELETE /internal/topics/{topic}: it deletes a topic's events and
// its end, so that the name can be used again.
func (g *Gateway) deleteTopic(w http.ResponseWriter, r *http.Request) {
	err := g.opts.Topics.Delete(r.Context(), r.PathValue("topic"))
	answerOr(w, err, wire.SendAnswer{Status: wire.StatusOK})
}

// listEvents answers GET /internal/topics/{topic}/events?limit=&after=, oldest first.
func (g *Gateway) listEvents(w http.ResponseWriter, r *http.Request) {
	limit, err := page(r)
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	events, more, err := g.opts.Topics.Events(r.Context(), r.PathValue("topic"), r.URL.Query().Get("after"), limit)
	found := wire.EventPage{Events: events}
	if more {
		found.Next = events[len(events)-1].ID
	}
	answerOr(w, err, found)
}
