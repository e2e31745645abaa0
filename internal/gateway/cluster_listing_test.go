package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/wire"
)

// pagesOfStreams reads a listing to its end and gives all tokens.
func pagesOfStreams(r *rig, limit int) (tokens []string, pages int) {
	r.t.Helper()
	last := uint64(0)
	for next := ""; ; pages++ {
		p := page[wire.StreamPage](r, fmt.Sprintf("/internal/streams?limit=%d&after=%s", limit, next))
		for _, s := range p.Streams {
			if s.Sequence < last {
				r.t.Errorf("stream %s has the number %d, behind %d", s.Token, s.Sequence, last)
			}
			last = s.Sequence
			tokens = append(tokens, s.Token)
		}
		if next = p.Next; next == "" {
			return tokens, pages + 1
		}
	}
}

func TestAListingOfStreamsCoversAllNodes(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, nil, nodeA, nodeB, nodeC)
	var want []string
	for i := range 11 {
		r := rigs[i*i%3]
		_, token := r.accepted(fmt.Sprintf("/x?%d", i))
		want = append(want, token)
		if i%2 == 0 {
			r.subscribe(token, `["task:even"]`)
		}
	}
	for _, r := range rigs {
		for _, limit := range []int{1, 2, 3, 5, 11, 100} {
			if got, _ := pagesOfStreams(r, limit); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v, want %v", limit, got, want)
			}
		}
		at := page[wire.StreamPage](r, "/internal/streams?topic=task:even&limit=4")
		var tokens []string
		for _, s := range at.Streams {
			tokens = append(tokens, s.Token)
		}
		if !slices.Equal(tokens, []string{want[0], want[2], want[4], want[6]}) || at.Next == "" {
			t.Errorf("streams of a topic: %v, next %q, want the first 4 and a next page", tokens, at.Next)
		}
	}
	wantError(t, "bad limit", rigs[0].get("/internal/streams?limit=0"), 400, "INVALID_PARAMETER")
}

// TestStreamsThatCameAtOneInstantAreAllListed: on different nodes they have the
// same number, and a page cannot end between them.
func TestStreamsThatCameAtOneInstantAreAllListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rigs := cluster(t, pipes, nil, nodeA, nodeB, nodeC)
		var want []string
		for range 4 {
			for _, r := range rigs { // time stands still
				_, token := r.accepted("/x")
				want = append(want, token)
			}
		}
		slices.Sort(want)
		for limit := 1; limit <= 13; limit++ {
			got, pages := pagesOfStreams(rigs[1], limit)
			slices.Sort(got)
			if !slices.Equal(got, want) || pages > 12/limit+1 {
				t.Errorf("pages of %d: %d tokens on %d pages, want each of %d once", limit, len(got), pages, len(want))
			}
		}
	})
}

func TestAListingNamesWhoDidNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rigs := cluster(t, pipes, nil, nodeA, nodeB, nodeC)
		_, a := rigs[0].accepted("/x")
		_, b := rigs[1].accepted("/x")
		rigs[2].accepted("/x")
		rigs[2].member.silence()
		begin := time.Now()
		got := page[wire.StreamPage](rigs[0], "/internal/streams")
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %s, want 5s", took)
		}
		if len(got.Streams) != 2 || got.Streams[0].Token != a && got.Streams[0].Token != b || !slices.Equal(got.Missing, []string{nodeC}) {
			t.Errorf("%+v, want the streams of two nodes, and that %s is missing", got, nodeC)
		}
		if topics := page[wire.TopicPage](rigs[0], "/internal/topics"); !slices.Equal(topics.Missing, []string{nodeC}) {
			t.Errorf("topics: missing %v, want %s", topics.Missing, nodeC)
		}
		rigs[1].member.rename("renamed8") // the list of others may be behind: nobody has that name
		if got := page[wire.StreamPage](rigs[0], "/internal/streams"); !slices.Equal(got.Missing, []string{nodeC}) || len(got.Streams) != 2 {
			t.Errorf("%+v, want the streams of two nodes", got)
		}
	})
}

func TestATopicsStreamsAreThoseOfAllNodes(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, nil, nodeA, nodeB, nodeC)
	for i, n := range []int{2, 1, 0} {
		for range n {
			_, token := rigs[i].accepted("/x")
			rigs[i].subscribe(token, `["task:1"]`)
		}
	}
	rigs[1].publish("task:1", "known to one node")
	for i, r := range rigs {
		if got := page[wire.TopicInfo](r, "/internal/topics/task:1"); got.Streams != 3 || got.Events != 1 || got.LastID == "" {
			t.Errorf("at node %d: %+v, want 3 streams and the event", i, got)
		}
		if got := page[wire.TopicPage](r, "/internal/topics"); len(got.Topics) != 1 || got.Topics[0].Streams != 3 || got.Topics[0].Events != 1 {
			t.Errorf("at node %d: %+v, want one topic with 3 streams", i, got)
		}
		wantError(t, fmt.Sprint("at node ", i), r.get("/internal/topics/task:none"), http.StatusNotFound, "TOPIC_NOT_FOUND")
	}
}

func TestPagesOfTopicsCoverAllNodes(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, nil, nodeA, nodeB, nodeC)
	var want []string
	for i := range 10 {
		name := fmt.Sprintf("task:%d", i)
		want = append(want, name)
		for j, r := range rigs {
			if i%3 == j || i%4 == 0 { // some are known everywhere, others to one
				r.publish(name, "x")
			}
		}
	}
	for _, limit := range []int{1, 2, 3, 9, 10, 50} {
		var got []string
		for next := ""; ; {
			p := page[wire.TopicPage](rigs[2], fmt.Sprintf("/internal/topics?prefix=task:&limit=%d&after=%s", limit, next))
			for _, topic := range p.Topics {
				got = append(got, topic.Topic)
			}
			if len(p.Topics) > limit {
				t.Errorf("a page of %d has %d topics", limit, len(p.Topics))
			}
			if next = p.Next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %s, want %s", limit, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}
