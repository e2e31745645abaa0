package backend

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"tidegate/internal/wire"
)

const mediaJSON = "application/json"

// Subscribe attaches the stream of r.Token to r.Topics and returns each topic
// as it was at that moment. [wire.CodeTokenNotFound] means that the client has
// left.
func (c *Client) Subscribe(ctx context.Context, r wire.SubscribeRequest) (wire.SubscribeAnswer, error) {
	var answer wire.SubscribeAnswer
	err := c.do(ctx, call{
		name: "POST /internal/subscribe", method: http.MethodPost, path: "/internal/subscribe",
		media: mediaJSON, body: encode(r), again: true,
	}, into(&answer))
	return answer, err
}

// Unsubscribe detaches the stream of token from topics.
func (c *Client) Unsubscribe(ctx context.Context, token string, topics []string) error {
	var answer wire.SubscribeAnswer
	return c.do(ctx, call{
		name: "POST /internal/unsubscribe", method: http.MethodPost, path: "/internal/unsubscribe",
		media: mediaJSON, body: encode(wire.SubscribeRequest{Token: token, Topics: topics}), again: true,
	}, into(&answer))
}

// CloseStream ends the stream of token. detail is what its disconnect callback
// says; "" leaves that to the gateway.
func (c *Client) CloseStream(ctx context.Context, token string, detail wire.Detail) error {
	query := url.Values{}
	if detail != "" {
		query.Set("detail", string(detail))
	}
	var answer struct{}
	return c.do(ctx, call{
		name: "DELETE /internal/streams/{token}", method: http.MethodDelete,
		path: "/internal/streams/" + url.PathEscape(token), query: query,
	}, into(&answer))
}

// Topic returns one topic, or [wire.CodeTopicNotFound].
func (c *Client) Topic(ctx context.Context, name string) (wire.TopicInfo, error) {
	var info wire.TopicInfo
	err := c.do(ctx, call{
		name: "GET /internal/topics/{topic}", method: http.MethodGet,
		path: "/internal/topics/" + url.PathEscape(name),
	}, into(&info))
	return info, err
}

// Events returns a page of what a topic holds behind an event id, oldest first,
// or [wire.CodeTopicNotFound].
func (c *Client) Events(ctx context.Context, name, after string) (wire.EventPage, error) {
	var answer wire.EventPage
	err := c.do(ctx, call{
		name: "GET /internal/topics/{topic}/events", method: http.MethodGet,
		path: "/internal/topics/" + url.PathEscape(name) + "/events", query: page(after, 0),
	}, into(&answer))
	return answer, err
}

// DeleteTopic drops a topic and its events, or returns [wire.CodeTopicNotFound].
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	var answer struct{}
	return c.do(ctx, call{
		name: "DELETE /internal/topics/{topic}", method: http.MethodDelete,
		path: "/internal/topics/" + url.PathEscape(name),
	}, into(&answer))
}

// StreamQuery chooses a page of streams.
type StreamQuery struct {
	Topic string // only streams attached to it, if not empty
	After string // the Next of the page before
	Limit int    // streams in the page; 0 leaves it to the gateway
}

// Streams returns a page of the streams that are open or pending.
func (c *Client) Streams(ctx context.Context, q StreamQuery) (wire.StreamPage, error) {
	query := page(q.After, q.Limit)
	if q.Topic != "" {
		query.Set("topic", q.Topic)
	}
	var answer wire.StreamPage
	err := c.do(ctx, call{
		name: "GET /internal/streams", method: http.MethodGet, path: "/internal/streams", query: query,
	}, into(&answer))
	return answer, err
}

// AllStreams pages through the streams that q chooses. An error ends the
// sequence.
func (c *Client) AllStreams(ctx context.Context, q StreamQuery) iter.Seq2[wire.StreamInfo, error] {
	return all(func(after string) ([]wire.StreamInfo, string, error) {
		q.After = after
		answer, err := c.Streams(ctx, q)
		return answer.Streams, answer.Next, err
	})
}

// TopicQuery chooses a page of topics.
type TopicQuery struct {
	Prefix string // only names that begin with it
	Open   bool   // only topics that are not closed
	After  string // the Next of the page before
	Limit  int    // topics in the page; 0 leaves it to the gateway
}

// Topics returns a page of the gateway's topics.
func (c *Client) Topics(ctx context.Context, q TopicQuery) (wire.TopicPage, error) {
	query := page(q.After, q.Limit)
	if q.Prefix != "" {
		query.Set("prefix", q.Prefix)
	}
	if q.Open {
		query.Set("open", "true")
	}
	var answer wire.TopicPage
	err := c.do(ctx, call{
		name: "GET /internal/topics", method: http.MethodGet, path: "/internal/topics", query: query,
	}, into(&answer))
	return answer, err
}

// AllTopics pages through the topics that q chooses. An error ends the sequence.
func (c *Client) AllTopics(ctx context.Context, q TopicQuery) iter.Seq2[wire.TopicInfo, error] {
	return all(func(after string) ([]wire.TopicInfo, string, error) {
		q.After = after
		answer, err := c.Topics(ctx, q)
		return answer.Topics, answer.Next, err
	})
}

func page(after string, limit int) url.Values {
	query := url.Values{}
	if after != "" {
		query.Set("after", after)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return query
}

// maxPages ends a listing that would never end, whatever the gateway answers.
const maxPages = 100_000

// all yields the items of page after page.
func all[T any](fetch func(after string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		after := ""
		for range maxPages {
			items, next, err := fetch(after)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
		yield(zero, fmt.Errorf("listing has more than %d pages", maxPages))
	}
}
