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
	flags []string // more flags of the server
	tls   bool     // the public listener has a certificate
	open  bool     // the internal listener has no secret
	files int      // limit of open files of the server; 0 for that of this process

	clients int           // number of attackers
	again   time.Duration // mean pause before an attacker acts again; 0 for never

	// prepare runs before the measurement. It may be nil.
	prepare func(ctx context.Context, s *server) error
	// act is one action of one attacker. It returns when the server disconnects the
	// attacker, or when ctx ends.
	act func(ctx context.Context, s *server, i int)
	// after runs after the attack and returns what else was lost. It may be nil.
	after func(ctx context.Context, s *server) error
}

// attacks lists all attacks.
var attacks = []attack{
	forgedIDs, unknownTasks, muteConnections, slowHeaders, endlessBodies, unreadAnswers,
	fatHeaders, stalledHandshakes, idleHTTP2, otherSites,
}

// runAttackers lets n attackers act until ctx ends.
func (a attack) runAttackers(ctx context.Context, s *server, n int) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range n {
		all.Go(func() {
			if !api.Sleep(ctx, rand.N(time.Second)) { // spread the actions over time
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

// tally counts what happens to attackers.
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
