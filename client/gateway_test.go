package client_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"time"

	"tidegate/internal/access"
	"tidegate/internal/gateway"
	"tidegate/internal/topic"
)

// running is a gateway with its two listeners.
type running struct {
	publicURL, internalURL string
	stop                   func() // and wait for its end
}

// startGateway runs a real gateway. It signs callbacks unless secret is "".
func startGateway(callbackURL, secret string) running {
	opts := gateway.Options{
		Topics:      topic.New(topic.Options{Default: topic.Retention{Events: 1000, Replay: topic.ReplayHeld}}),
		CallbackURL: callbackURL,
	}
	if secret != "" {
		secrets, err := access.NewSecrets(secret)
		if err != nil {
			panic(err)
		}
		opts.CallbackSecrets = secrets
	}
	g := gateway.New(opts)
	ctx, end := context.WithCancel(context.Background())
	var life sync.WaitGroup
	life.Go(func() { _ = g.Run(ctx) })
	public, internal := httptest.NewServer(g.Public()), httptest.NewServer(g.Internal())
	return running{public.URL, internal.URL, func() {
		patience, cancel := context.WithTimeout(ctx, time.Second)
		g.Drain(patience, 0)
		cancel()
		end()
		life.Wait()
		public.Close()
		internal.Close()
	}}
}
