package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"tidegate/client"
	"tidegate/sse"
)

const secret = "callback-secret-of-the-example"

// A whole backend: in the callback it attaches each client to a room, and then it sends to
// the room.
func Example() {
	var tide *client.Client
	callbacks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := client.ReadCallback(w, r, client.CallbackOptions{Secrets: []string{secret}})
		if err != nil {
			log.Print(err) // ReadCallback has answered
			return
		}
		if c.Action == client.Disconnect {
			return
		}
		_, err = tide.Subscribe(r.Context(), client.Subscription{Token: c.Token, Topics: []string{"room:1"}})
		if err != nil && client.CodeOf(err) != client.CodeTokenNotFound { // that one has left
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	}))
	defer callbacks.Close()
	gateway := startGateway(callbacks.URL, secret) // elsewhere: tidegate gateway --callback-url …
	defer gateway.stop()

	tide, err := client.New(client.Options{URL: gateway.internalURL})
	if err != nil {
		log.Fatal(err)
	}
	defer tide.CloseIdleConnections()

	// Somebody sends, before anybody listens.
	for _, text := range []string{"hello", "is anybody there?"} {
		_, err := tide.Send(context.Background(), client.Message{
			Topic: "room:1", Event: &client.Event{Name: "say", Data: text},
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	// What a browser does with EventSource.
	browser := sse.NewClient(sse.ClientOptions{URL: gateway.publicURL + "/rooms/1"})
	seen := 0
	for ev, err := range browser.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Name+":", ev.Data)
		if seen++; seen == 2 {
			break
		}
	}
	// Output:
	// say: hello
	// say: is anybody there?
}

// The handler of callbacks decides who may open a stream.
func ExampleReadCallback() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		c, err := client.ReadCallback(w, r, client.CallbackOptions{Secrets: []string{secret}})
		if err != nil {
			fmt.Println(err)
			return // it has been answered
		}
		switch {
		case c.Action == client.Disconnect:
			fmt.Println("ended:", c.Reason)
		case c.Request.Headers["cookie"] == "":
			http.Error(w, "log in first", http.StatusUnauthorized)
		}
	}
	callbacks := httptest.NewServer(http.HandlerFunc(handler))
	defer callbacks.Close()
	gateway := startGateway(callbacks.URL, secret)
	defer gateway.stop()

	browser := sse.NewClient(sse.ClientOptions{URL: gateway.publicURL + "/news"})
	for _, err := range browser.Events(context.Background()) {
		if refused, ok := errors.AsType[*sse.StatusError](err); ok {
			fmt.Println("the browser gets", refused.StatusCode)
		}
	}

	// Anybody can post to the handler. Only the gateway can sign.
	resp, err := http.Post(callbacks.URL, "application/json", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println("a stranger gets", resp.StatusCode)
	// Output:
	// the browser gets 401
	// client: callback refused: Unauthorized: client: signature is not t=…,v1=…,v2=…
	// a stranger gets 401
}

// The gateway's refusals have a status and a code.
func ExampleClient_Send() {
	gateway := startGateway("", "")
	defer gateway.stop()
	tide, err := client.New(client.Options{URL: gateway.internalURL})
	if err != nil {
		log.Fatal(err)
	}
	defer tide.CloseIdleConnections()

	result, err := tide.Send(context.Background(), client.Message{
		Topic: "news", Event: &client.Event{Data: "the tide turns"},
	})
	fmt.Println(result.Status, *result.Receivers, err)

	_, err = tide.Send(context.Background(), client.Message{
		Token: "gone", Event: &client.Event{Data: "are you there?"},
	})
	refused, ok := errors.AsType[*client.Error](err)
	fmt.Println(ok, refused.Status, refused.Code)
	// Output:
	// ok 0 <nil>
	// true 404 TOKEN_NOT_FOUND
}

// A batch is one request. A message that is refused does not spoil the others.
func ExampleClient_SendBatch() {
	gateway := startGateway("", "")
	defer gateway.stop()
	tide, err := client.New(client.Options{URL: gateway.internalURL})
	if err != nil {
		log.Fatal(err)
	}
	defer tide.CloseIdleConnections()

	results, err := tide.SendBatch(context.Background(), []client.Message{
		{Topic: "build:7", Event: &client.Event{Data: "compiled"}},
		{Topic: "build:7", Event: &client.Event{Name: "two\nlines", Data: "…"}},
		{Topic: "build:7", Event: &client.Event{Data: "tested"}, Close: true},
	})
	if err != nil {
		log.Fatal(err) // no answer to the rest
	}
	for _, r := range results {
		fmt.Println(r.Code, r.Err())
	}
	// Output:
	// 200 <nil>
	// 400 INVALID_EVENT_NAME: Invalid request: event.name must not contain CR, LF or NUL
	// 200 <nil>
}

// Listings are read page by page while the loop goes on.
func ExampleClient_Topics() {
	gateway := startGateway("", "")
	defer gateway.stop()
	tide, err := client.New(client.Options{URL: gateway.internalURL, Timeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer tide.CloseIdleConnections()
	ctx := context.Background()
	for _, topic := range []string{"build:1", "build:2", "build:2", "news"} {
		if _, err := tide.Send(ctx, client.Message{Topic: topic, Event: &client.Event{Data: "…"}}); err != nil {
			log.Fatal(err)
		}
	}
	for topic, err := range tide.Topics(ctx, client.TopicQuery{Prefix: "build:", Limit: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(topic.Topic, topic.Events)
	}
	// Output:
	// build:1 1
	// build:2 2
}
