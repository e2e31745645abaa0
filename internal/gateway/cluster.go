package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"tidegate/internal/wire"
)

// maxStatusTime bounds the wait for other nodes: an operator looks at the status when
// something is wrong.
const maxStatusTime = 3 * time.Second

// showCluster answers GET /internal/cluster.
func (g *Gateway) showCluster(w http.ResponseWriter, r *http.Request) {
	if g.opts.Status == nil {
		wire.WriteError(w, wire.Errorf(http.StatusNotFound, wire.CodeNotFound,
			"Everything is in memory here: give --data or --nats-url for storage"))
		return
	}
	own := wire.ClusterStatus{Node: g.identity().Name, Health: g.NotReady(), Warnings: g.warnings()}
	if isFromPeer(r.Context()) {
		wire.WriteJSON(w, http.StatusOK, own)
		return
	}
	var others []wire.ClusterStatus
	var missing []string
	var asked sync.WaitGroup
	ctx, cancel := context.WithTimeout(r.Context(), maxStatusTime)
	defer cancel()
	asked.Go(func() { others, missing = askOthers[wire.ClusterStatus](g, r.WithContext(ctx)) })
	status := g.opts.Status(r.Context())
	asked.Wait()
	status.Node, status.Warnings = own.Node, own.Warnings
	status.Health = append(own.Health, status.Health...)
	for _, other := range others {
		for _, reason := range other.Health {
			status.Health = append(status.Health, "node "+other.Node+": "+reason)
		}
	}
	for _, node := range missing {
		status.Health = append(status.Health, "node "+node+" does not answer")
	}
	if status.Health == nil {
		status.Health = []string{}
	}
	wire.WriteJSON(w, http.StatusOK, status)
}

// askOthers asks all other nodes what this one was asked, at the same time. It returns
// their answers, and the names of the nodes that did not answer. A listing covers all
// nodes: each returns a page of its own, and the pages are joined.
func askOthers[T any](g *Gateway, r *http.Request) (answers []T, missing []string) {
	if g.opts.Peers == nil || isFromPeer(r.Context()) {
		return nil, nil
	}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, node := range g.opts.Peers.Others() {
		asked.Go(func() {
			var answer T
			body, err := g.ask(r.Context(), node, wire.PeerRequest{Method: r.Method, Target: r.URL.RequestURI()})
			e := wire.ErrorOf(err)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && json.Unmarshal(body, &answer) == nil:
				answers = append(answers, answer)
			case err != nil && e.Status == http.StatusNotFound && e != errNoToken: // the node has nothing to add
			default:
				missing = append(missing, node)
			}
		})
	}
	asked.Wait()
	slices.Sort(missing)
	return answers, missing
}

// joinStreams merges the pages of all nodes into one.
func joinStreams(page wire.StreamPage, others []wire.StreamPage, limit int) wire.StreamPage {
	more := page.Next != ""
	for _, o := range others {
		page.Streams = append(page.Streams, o.Streams...)
		more = more || o.Next != ""
	}
	slices.SortFunc(page.Streams, func(a, b wire.StreamInfo) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Token, b.Token))
	})
	if n := limit; len(page.Streams) > n {
		for n < len(page.Streams) && page.Streams[n].Sequence == page.Streams[n-1].Sequence {
			n++ // the next page starts above it
		}
		more = more || n < len(page.Streams)
		page.Streams = page.Streams[:n]
	}
	page.Next = ""
	if more && len(page.Streams) > 0 {
		page.Next = strconv.FormatUint(page.Streams[len(page.Streams)-1].Sequence, 10)
	}
	return page
}

// joinTopics merges the pages of all nodes into one. The nodes share the logs, of which
// each holds the part that it was asked for; streams differ.
func joinTopics(page wire.TopicPage, others []wire.TopicPage, limit int) wire.TopicPage {
	at := make(map[string]int, len(page.Topics))
	for i, t := range page.Topics {
		at[t.Topic] = i
	}
	more := page.Next != ""
	for _, o := range others {
		more = more || o.Next != ""
		for _, t := range o.Topics {
			if i, ok := at[t.Topic]; ok {
				page.Topics[i] = joinTopic(page.Topics[i], t)
				continue
			}
			at[t.Topic] = len(page.Topics)
			page.Topics = append(page.Topics, t)
		}
	}
	slices.SortFunc(page.Topics, func(a, b wire.TopicInfo) int { return cmp.Compare(a.Topic, b.Topic) })
	if len(page.Topics) > limit {
		page.Topics, more = page.Topics[:limit], true
	}
	page.Next = ""
	if more && len(page.Topics) > 0 {
		page.Next = page.Topics[len(page.Topics)-1].Topic
	}
	return page
}

// joinTopic adds what another node knows of a topic: its streams, and more events.
func joinTopic(a, b wire.TopicInfo) wire.TopicInfo {
	streams := a.Streams + b.Streams
	if a.Unsure != b.Unsure && a.Unsure || a.Unsure == b.Unsure && b.Events > a.Events {
		a = b
	}
	a.Streams = streams
	return a
}
