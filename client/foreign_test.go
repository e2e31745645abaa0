package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestAnswersOfOtherServers: a URL that leads to another web server must not look like a
// success, nor like a gateway that is away, and asking again does not help.
func TestAnswersOfOtherServers(t *testing.T) {
	t.Parallel()
	send := func(ctx context.Context, c *Client) error {
		_, err := c.Send(ctx, Message{Topic: "a", Event: &Event{Data: "d"}})
		return err
	}
	batch := func(ctx context.Context, c *Client) error {
		_, err := c.SendBatch(ctx, []Message{{Topic: "a", Event: &Event{Data: "d"}}, {Topic: "a", Event: &Event{Data: "e"}}})
		return err
	}
	for _, tt := range []struct {
		name, body string
		call       func(context.Context, *Client) error
	}{
		{"a page", "<html></html>", send},
		{"an object of another kind", "{}", send},
		{"null", "null", send},
		{"a list", "[]", send},
		{"a page for a batch", "<html></html>", batch},
		{"a page for a listing", "<html></html>", func(ctx context.Context, c *Client) error {
			_, err := c.Topic(ctx, "a")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			other := &scripted{answers: []any{answerWith(http.StatusOK, tt.body)}}
			c, err := New(Options{URL: "http://gateway.test", Transport: other})
			if err != nil {
				t.Fatal(err)
			}
			err = tt.call(t.Context(), c)
			refusal, ok := errors.AsType[*Error](err)
			if !ok || refusal.Status != http.StatusOK || refusal.Code != "" || !strings.Contains(err.Error(), "internal listener") {
				t.Errorf("err = %v, want an Error that asks for the URL", err)
			}
			if errors.Is(err, ErrUnreachable) || len(other.bodies) != 1 {
				t.Errorf("err = %v after %d requests, want 1 and not ErrUnreachable", err, len(other.bodies))
			}
		})
	}
}

// TestSecretsThatNoHeaderCarries: a file that holds a secret often ends with a line feed.
func TestSecretsThatNoHeaderCarries(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef\n"
	for name, opts := range map[string]Options{
		"secret": {URL: "http://gateway.test", Secret: secret},
		"agent":  {URL: "http://gateway.test", UserAgent: "a\x00b"},
	} {
		if _, err := New(opts); err == nil || !strings.Contains(err.Error(), "control character") || strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%s: New = %v, want an error that says what is wrong", name, err)
		}
	}
	never := &scripted{answers: []any{okAnswer}}
	c, err := New(Options{URL: "http://gateway.test", Transport: never, SecretFunc: func() string { return secret }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Send(t.Context(), Message{Topic: "a", Event: &Event{Data: "d"}})
	if err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "control character") || len(never.bodies) != 0 {
		t.Errorf("Send = %v after %d requests, want an error of the secret and none", err, len(never.bodies))
	}
}
