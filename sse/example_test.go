package sse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"time"

	"tidegate/sse"
)

// An event is encoded into a byte slice, which can then be written to any number of
// streams.
func Example() {
	block, err := sse.Append(nil, sse.Event{ID: "7", Name: "progress", Data: "step 1\nstep 2"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", block)

	for ev, err := range sse.Decode(strings.NewReader(string(block))) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%+v\n", ev)
	}
	// Output:
	// "id: 7\nevent: progress\ndata: step 1\ndata: step 2\n\n"
	// {ID:7 Name:progress Data:step 1
	// step 2 Retry:0s}
}

// Names often come from elsewhere. One that would break out of its line is refused.
func ExampleAppend_badName() {
	_, err := sse.Append(nil, sse.Event{Name: "add\ndata: forged", Data: "1"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, sse.ErrField))
	// Output:
	// event name: sse: CR, LF or NUL is not allowed in a field
	// true
}

// A handler sends what comes through a channel. The client has seen the first event
// before, and says so when it comes back.
func ExampleAccept() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, &sse.WriterOptions{Retry: 2 * time.Second})
		if err != nil {
			return // Accept has answered
		}
		events := make(chan sse.Event, 10)
		for i, data := range []string{"one", "two", "three"} {
			if id := strconv.Itoa(i + 1); id > sse.LastEventID(r) {
				events <- sse.Event{ID: id, Name: "step", Data: data}
			}
		}
		close(events) // ends the stream
		if err := stream.Serve(r.Context(), events); err != nil {
			log.Print(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	defer server.Close()

	request, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Last-Event-ID", "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Header.Get("Content-Type"))
	_, _ = io.Copy(os.Stdout, response.Body)
	// Output:
	// text/event-stream
	// retry: 2000
	//
	// id: 2
	// event: step
	// data: two
	//
	// id: 3
	// event: step
	// data: three
}

// An event that goes to many streams is encoded once.
func ExampleWriter_Write() {
	block, err := sse.Append(nil, sse.Event{Name: "news", Data: "the tide turns"})
	if err != nil {
		log.Fatal(err)
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, nil)
		if err != nil {
			return
		}
		if _, err := stream.Write(block); err != nil {
			log.Print(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	defer server.Close()

	for range 2 {
		client := sse.NewClient(sse.ClientOptions{URL: server.URL, MaxReconnects: -1})
		for ev, err := range client.Events(context.Background()) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(ev.Name, ev.Data)
		}
	}
	// Output:
	// news the tide turns
	// news the tide turns
}

// A handler with a loop of its own sends event by event.
func ExampleWriter_Send() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		stream, err := sse.Accept(w, r, &sse.WriterOptions{WriteTimeout: -1}) // a recorder has no deadlines
		if err != nil {
			return
		}
		for i := range 2 {
			if err := stream.Send(sse.Event{Data: fmt.Sprint("step ", i+1)}); err != nil {
				return // the client has left
			}
		}
	}
	recorder := httptest.NewRecorder()
	handler(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Print(recorder.Body)
	// Output:
	// data: step 1
	//
	// data: step 2
}

// The id of the last event stays until another is sent, also by a block without data.
func ExampleDecoder() {
	stream := strings.NewReader("id: 1\ndata: first\n\ndata: second\n\nid: 2\n\nid: 3\ndata: unfinished")
	dec := sse.NewDecoder(stream, sse.DecoderOptions{})
	for ev, err := range dec.Events() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.ID, ev.Data)
	}
	fmt.Println("resume after", dec.LastEventID())
	// Output:
	// 1 first
	// 1 second
	// resume after 2
}

// To test a server, read its stream strictly.
func ExampleDecoderOptions_strict() {
	dec := sse.NewDecoder(strings.NewReader("data: a\n\nevnet: add\ndata: b\n\n"), sse.DecoderOptions{Strict: true})
	for ev, err := range dec.Events() {
		fmt.Printf("%q %v\n", ev.Data, err)
	}
	// Output:
	// "a" <nil>
	// "" sse: line 3: unknown field
}

// A client reconnects by itself and resumes where it was, until the server has no more
// to say, which it does with 204.
func ExampleClient() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch r.Header.Get("Last-Event-ID") {
		case "":
			_, _ = io.WriteString(w, "id: 1\ndata: one\n\n")
		case "1":
			_, _ = io.WriteString(w, "id: 2\nevent: end\ndata: two\n\n")
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()

	client := sse.NewClient(sse.ClientOptions{
		URL:         server.URL,
		Retry:       10 * time.Millisecond,
		OnReconnect: func(err error, _ time.Duration) { fmt.Println("reconnect after", err) },
	})
	for ev, err := range client.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Name, ev.Data)
	}
	// Output:
	// message one
	// reconnect after EOF
	// end two
	// reconnect after EOF
}
