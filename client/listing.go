package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// maxPages ends a listing that would never end, whatever the gateway answers.
const maxPages = 100_000

// gatewayPage is how many items a gateway lists if it is not asked for a number.
const gatewayPage = 100

// Stream is a stream that is open, or whose connect callback is pending.
type Stream struct {
	Token        string   `json:"token"`
	State        string   `json:"state"` // "pending" while the callback is out, else "open"
	URL          string   `json:"url"`   // what the client asked for
	RemoteAddr   string   `json:"remote_addr"`
	OpenedAt     string   `json:"opened_at"` // RFC 3339
	Sequence     uint64   `json:"sequence"`  // rises with each stream of this gateway
	Topics       []string `json:"topics"`
	PendingBytes int64    `json:"pending_bytes"`           // that wait to be written
	LastEventID  string   `json:"last_event_id,omitempty"` // as the client sent it
}

// Topic is a topic and what it holds.
type Topic struct {
	Topic    string `json:"topic"`
	Events   int    `json:"events"`           // held in memory now
	Bytes    int64  `json:"bytes"`            // held now, as encoded
	Stored   int    `json:"stored,omitempty"` // events in the log of the gateway's process, if it has one
	Appended uint64 `json:"appended"`         // ever appended since the topic was made
	Streams  int    `json:"streams"`          // attached now
	FirstID  string `json:"first_id,omitempty"`
	LastID   string `json:"last_id,omitempty"` // of the last event ever appended
	LastAt   string `json:"last_at,omitempty"` // RFC 3339, of the last event
	Closed   bool   `json:"closed"`
	// Unsure means that storage did not answer: the topic may have had more events than
	// this says, and may be closed. Listings only.
	Unsure bool `json:"unsure,omitempty"`
}

// StoredEvent is an event that a topic holds.
type StoredEvent struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Data  string `json:"data"`
	At    string `json:"at"`              // RFC 3339
	Final bool   `json:"final,omitempty"` // it closed the topic
}

// StreamQuery chooses streams.
type StreamQuery struct {
	Topic string // only streams attached to it; "" for all
	Limit int    // streams in one request; 0 leaves it to the gateway
}

// TopicQuery chooses topics.
type TopicQuery struct {
	Prefix string // only names that begin with it
	Open   bool   // only topics that are not closed
	Limit  int    // topics in one request; 0 leaves it to the gateway
}

// EventQuery chooses events of one topic.
type EventQuery struct {
	After string // the id of an event: only those behind it
	Limit int    // events in one request; 0 leaves it to the gateway
}

// Streams lists the streams that q chooses, over all nodes of a cluster, one request
// for each page. An error is the last element. Streams that open or end meanwhile may
// be missing.
func (c *Client) Streams(ctx context.Context, q StreamQuery) iter.Seq2[Stream, error] {
	return all(q.Limit, func(after string, limit int) (page[Stream], error) {
		query := pageQuery(after, limit)
		if q.Topic != "" {
			query.Set("topic", q.Topic)
		}
		var answer struct {
			Streams []Stream `json:"streams"`
			pageEnd
		}
		err := c.get(ctx, "GET /internal/streams", "/internal/streams", query, &answer)
		return page[Stream]{answer.Streams, answer.pageEnd}, err
	})
}

// Stream returns one stream, or [CodeTokenNotFound].
func (c *Client) Stream(ctx context.Context, token string) (Stream, error) {
	var answer Stream
	err := c.get(ctx, "GET /internal/streams/{token}", "/internal/streams/"+url.PathEscape(token), nil, &answer)
	return answer, err
}

// Topics lists the topics that q chooses, in the order of their names, one request for
// each page. An error is the last element.
func (c *Client) Topics(ctx context.Context, q TopicQuery) iter.Seq2[Topic, error] {
	return all(q.Limit, func(after string, limit int) (page[Topic], error) {
		query := pageQuery(after, limit)
		if q.Prefix != "" {
			query.Set("prefix", q.Prefix)
		}
		if q.Open {
			query.Set("open", "true")
		}
		var answer struct {
			Topics []Topic `json:"topics"`
			pageEnd
		}
		err := c.get(ctx, "GET /internal/topics", "/internal/topics", query, &answer)
		return page[Topic]{answer.Topics, answer.pageEnd}, err
	})
}

// Topic returns one topic, or [CodeTopicNotFound].
func (c *Client) Topic(ctx context.Context, name string) (Topic, error) {
	var answer Topic
	err := c.get(ctx, "GET /internal/topics/{topic}", "/internal/topics/"+url.PathEscape(name), nil, &answer)
	return answer, err
}

// Events lists the events that a topic holds, oldest first, one request for each page.
// Pages that would be too large are asked for in smaller ones. An error is the last
// element: [CodeTopicNotFound] if there is no such topic.
func (c *Client) Events(ctx context.Context, topic string, q EventQuery) iter.Seq2[StoredEvent, error] {
	first := q.After
	return all(q.Limit, func(after string, limit int) (page[StoredEvent], error) {
		if after == "" {
			after = first
		}
		var answer struct {
			Events []StoredEvent `json:"events"`
			pageEnd
		}
		err := c.get(ctx, "GET /internal/topics/{topic}/events", "/internal/topics/"+url.PathEscape(topic)+"/events",
			pageQuery(after, limit), &answer)
		return page[StoredEvent]{answer.Events, answer.pageEnd}, err
	})
}

func (c *Client) get(ctx context.Context, name, path string, query url.Values, answer any) error {
	return c.do(ctx, call{name: name, method: http.MethodGet, path: path, query: query, repeatable: true}, into(answer))
}

// page is one answer to a listing.
type page[T any] struct {
	items []T
	pageEnd
}

// pageEnd is how a page ends.
type pageEnd struct {
	Next    string   `json:"next,omitempty"`          // what to pass as after; "" on the last page
	Missing []string `json:"missing_nodes,omitempty"` // that did not answer
}

func pageQuery(after string, limit int) url.Values {
	query := url.Values{}
	if after != "" {
		query.Set("after", after)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// fetchPage asks for the page behind a position. A limit of 0 leaves its size to the gateway.
type fetchPage[T any] func(after string, limit int) (page[T], error)

// all yields the items of page after page.
func all[T any](limit int, fetch fetchPage[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := eachPage(limit, fetch, func(item T) bool { return yield(item, nil) }); err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// eachPage returns what ended the listing before its end, apart from the consumer.
func eachPage[T any](limit int, fetch fetchPage[T], yield func(T) bool) error {
	after := ""
	missing := map[string]bool{}
	for range maxPages {
		p, err := fetch(after, limit)
		if errors.Is(err, errAnswerTooLarge) && limit != 1 {
			limit = max(cmp.Or(limit, gatewayPage)/2, 1)
			continue
		}
		if err != nil {
			return err
		}
		for _, node := range p.Missing {
			missing[node] = true
		}
		for _, item := range p.items {
			if !yield(item) {
				return nil
			}
		}
		if after = p.Next; after == "" {
			return incomplete(missing)
		}
	}
	return fmt.Errorf("client: listing has more than %d pages", maxPages)
}
