package client

import (
	"context"
	"net/http"
	"net/url"
)

// Where a subscription begins, beside the id of an event.
const (
	FromEarliest = "earliest" // with the oldest event that is held
	FromLatest   = "latest"   // with the next event
)

// Subscription attaches a stream to topics.
type Subscription struct {
	Token  string   `json:"token"`
	Topics []string `json:"topics,omitempty"` // at most 10,000

	// From is FromEarliest, FromLatest, or an event id to go on after. Default: what the
	// namespace of each topic is configured to replay. A client that brings a last event
	// id goes on after that, whatever From says.
	From string `json:"from,omitempty"`
	// Override makes From count for clients that bring a last event id, too.
	Override bool `json:"override,omitempty"`

	// Absent are topics to attach to if they exist. If they do not, the stream receives
	// the events that are given here, and nothing is stored.
	Absent []AbsentTopic `json:"absent,omitempty"`
}

// AbsentTopic is a topic that may not exist, and what the stream receives then.
type AbsentTopic struct {
	Topic  string  `json:"topic"`
	Events []Event `json:"events"` // 1 to 100, none of them transient
}

// Attachment is what [Client.Subscribe] did.
type Attachment struct {
	Status string           `json:"status"`           // StatusOK, or StatusBuffered while the callback is pending
	Topics map[string]Topic `json:"topics"`           // as they were when the stream was attached
	Absent []string         `json:"absent,omitempty"` // topics of Absent that do not exist
}

// Subscribe attaches a stream to topics: it receives what they hold and then what
// comes, without gap or repeat. Call it in the handler of a connect callback, so that
// the first events follow the headers of the response, or later. A topic that does not
// exist yet begins with its first event. A stream that is attached already stays so.
//
// [CodeTokenNotFound] means that the client has left, which is no mistake.
func (c *Client) Subscribe(ctx context.Context, s Subscription) (Attachment, error) {
	var answer Attachment
	err := c.do(ctx, call{
		name: "POST /internal/subscribe", method: http.MethodPost, path: "/internal/subscribe",
		media: mediaJSON, body: encode(s), repeatable: true,
	}, into(&answer))
	return answer, err
}

// Unsubscribe detaches a stream from topics. The stream stays open.
func (c *Client) Unsubscribe(ctx context.Context, token string, topics []string) error {
	var answer struct{}
	return c.do(ctx, call{
		name: "POST /internal/unsubscribe", method: http.MethodPost, path: "/internal/unsubscribe",
		media: mediaJSON, body: encode(Subscription{Token: token, Topics: topics}), repeatable: true,
	}, into(&answer))
}

// EndStream ends a stream at once, or returns [CodeTokenNotFound] if there is none. It
// also returns that if a repeated request finds that an earlier one has ended the stream.
// EventSource then connects again, and your callback decides. detail is for the disconnect
// callback, one of the gateway's details; "" is "closed".
func (c *Client) EndStream(ctx context.Context, token, detail string) error {
	query := url.Values{}
	if detail != "" {
		query.Set("detail", detail)
	}
	var answer struct{}
	return c.do(ctx, call{
		name: "DELETE /internal/streams/{token}", method: http.MethodDelete,
		path: "/internal/streams/" + url.PathEscape(token), query: query, repeatable: true,
	}, into(&answer))
}

// DeleteTopic drops a topic and its events, or returns [CodeTopicNotFound]: also when
// a repeated request finds that an earlier one has dropped it.
func (c *Client) DeleteTopic(ctx context.Context, topic string) error {
	var answer struct{}
	return c.do(ctx, call{
		name: "DELETE /internal/topics/{topic}", method: http.MethodDelete,
		path: "/internal/topics/" + url.PathEscape(topic), repeatable: true,
	}, into(&answer))
}
