package backend

import (
	"context"
	"net/http"

	"tidegate/internal/wire"
	"tidegate/task/publish"
)

// publisher writes the events of tasks to their topics: the one that other
// programs use as well, by way of our client. It also reads how logs end.
type publisher struct {
	*publish.Publisher
	client *Client
}

func newPublisher(client *Client, m *metrics) (*publisher, error) {
	events, err := publish.New(publish.Options{
		Send: func(ctx context.Context, batch []publish.Message) ([]publish.Answer, error) {
			messages := make([]Message, len(batch))
			for i, b := range batch {
				messages[i] = Message{
					Topic: b.Topic, Event: &Event{Name: b.Event.Name, Data: b.Event.Data},
					Close: b.Close, IdempotencyKey: b.IdempotencyKey,
				}
			}
			answers, err := client.SendBatch(ctx, messages)
			told := make([]publish.Answer, len(answers))
			for i, a := range answers {
				told[i] = answerOf(a)
			}
			return told, err
		},
		Observe: func(o publish.Outcome) { m.published.WithLabelValues(string(o)).Inc() },
	})
	return &publisher{events, client}, err
}

// answerOf is one line of an answer as the publisher has it.
func answerOf(a wire.SendAnswer) publish.Answer {
	err := answerError(a)
	if err == nil {
		return publish.Answer{Status: http.StatusOK}
	}
	told := publish.Answer{Status: a.Code, Text: err.Error()}
	if e := a.Error; e != nil {
		told.Code, told.Text = string(e.Code), e.Message
	}
	return told
}

// What became of a version notice, as the metric names it.
const (
	outcomeTaken  = string(publish.Taken)
	outcomeFailed = string(publish.Failed)
)
