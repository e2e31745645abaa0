// A backend for Tidegate in Go, with package client.
//
//	export TIDEGATE_CALLBACK_SECRET=choose-a-long-secret
//	tidegate gateway --callback-url http://127.0.0.1:5000/callback
//	go run ./examples/go-backend
//	tidegate listen http://localhost:8080/news
//	curl -d 'It works' http://127.0.0.1:5000/headlines
//
// Streams at /news follow the topic "news"; every other path is refused. Each POST to
// /headlines sends its body to all of them.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"tidegate/client"
)

const maxHeadline = 64 << 10

// backend has what its handlers share.
type backend struct {
	tide   *client.Client
	secret string // by which the gateway signs callbacks
}

// callback decides about each stream: any 2xx status accepts it.
func (b *backend) callback(w http.ResponseWriter, r *http.Request) {
	c, err := client.ReadCallback(w, r, client.CallbackOptions{Secrets: []string{b.secret}})
	if err != nil {
		log.Print(err) // it has been answered
		return
	}
	if c.Action == client.Disconnect {
		log.Print("gone: ", c.Reason)
		return
	}
	if path, _, _ := strings.Cut(c.Request.URL, "?"); path != "/news" {
		http.NotFound(w, r)
		return
	}
	// Before the answer, so that what is replayed is ready when the stream opens. A client
	// that resumes goes on after its last event id.
	_, err = b.tide.Subscribe(r.Context(), client.Subscription{Token: c.Token, Topics: []string{"news"}, From: client.FromEarliest})
	if err != nil && client.CodeOf(err) != client.CodeTokenNotFound { // the client has left
		log.Print(err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	}
}

// headline sends an event to all streams that are open, and to those that come later.
func (b *backend) headline(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHeadline))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	result, err := b.tide.Send(r.Context(), client.Message{
		Topic: "news", Event: &client.Event{Name: "headline", Data: string(text)},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_ = json.NewEncoder(w).Encode(result)
}

func run(port, gateway string) error {
	secret := os.Getenv("TIDEGATE_CALLBACK_SECRET")
	if secret == "" {
		return errors.New("set TIDEGATE_CALLBACK_SECRET, for the gateway as well")
	}
	tide, err := client.New(client.Options{URL: gateway, Secret: os.Getenv("TIDEGATE_INTERNAL_SECRET")})
	if err != nil {
		return err
	}
	b := &backend{tide, secret}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /callback", b.callback)
	mux.HandleFunc("POST /headlines", b.headline)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	fmt.Printf("backend is ready at http://%s\n", listener.Addr())
	return http.Serve(listener, mux)
}

func main() {
	port := flag.String("port", "5000", "port of the backend")
	gateway := flag.String("gateway", "http://127.0.0.1:8081", "URL of the gateway's internal listener")
	flag.Parse()
	if err := run(*port, *gateway); err != nil {
		log.SetFlags(0)
		log.Fatal("go-backend: ", err)
	}
}
