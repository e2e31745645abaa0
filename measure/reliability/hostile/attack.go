package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
)

// attack is one way to attack a server.
type attack struct {
	name, what string

	mode  string   // the command of the server: gateway or serve
	flags []string // of it
	tls   bool     // its public listener has a certificate
	open  bool     // its internal listener has no secret
	files int      // its limit of open files; 0 for what there is

	clients int           // attackers
	again   time.Duration // each of them acts again after about that time; 0 for once

	// prepare comes before everything is measured.
	prepare func(ctx context.Context, s *server) error
	// act is one action of one attacker. It ends when the attacker is thrown out, or
	// with ctx.
	act func(ctx context.Context, s *server, i int)
	// after looks whether the honest have lost something besides.
	after func(ctx context.Context, s *server) error
}

// attacks are all of them.
var attacks = []attack{
	forgedIDs, unknownTasks, muteConnections, slowHeaders, endlessBodies, unreadAnswers,
	fatHeaders, stalledHandshakes, idleHTTP2, otherSites,
}

// crowd has n attackers act until ctx ends.
func (a attack) crowd(ctx context.Context, s *server, n int) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range n {
		all.Go(func() {
			if !api.Sleep(ctx, rand.N(time.Second)) { // not all in one moment, each time
				return
			}
			for {
				a.act(ctx, s, i)
				if a.again == 0 || !api.Sleep(ctx, a.again/2+rand.N(a.again)) {
					return
				}
			}
		})
	}
}

// tally counts what becomes of attackers.
type tally struct {
	mu    sync.Mutex
	count map[string]int // guarded by mu
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil {
		t.count = map[string]int{}
	}
	t.count[what]++
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(t.count)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, t.count[what]))
	}
	return strings.Join(parts, ", ")
}
