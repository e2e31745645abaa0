package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/backoff"
)

// How an external server syncs its files is configured there, and decides what survives a
// power failure. So Tidegate asks each, and warns if one may lose acknowledged writes or
// does not answer.

const (
	// subjectServers is where all servers answer how their JetStream is configured. It
	// belongs to the system account, which has to export it to ours.
	subjectServers = "$SYS.REQ.SERVER.PING.JSZ"

	askServersEvery = time.Minute
	serversWait     = 2 * time.Second        // for the first answer
	serversSilence  = 500 * time.Millisecond // after it no other answer comes
	mostServers     = 64
)

// serverAnswer is the part of an answer that is used.
type serverAnswer struct {
	Server struct {
		Name    string `json:"name"`
		Version string `json:"ver"`
	} `json:"server"`
	Data struct {
		Disabled bool `json:"disabled"`
		Config   struct {
			SyncAlways   bool          `json:"sync_always"`
			SyncInterval time.Duration `json:"sync_interval"`
		} `json:"config"`
	} `json:"data"`
}

// Warnings lists settings that are probably not meant, though the process is ready. It does
// not wait.
func (e *Engine) Warnings() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.warnings)
}

// watchServers asks the external servers once a minute, until ctx ends.
func (e *Engine) watchServers(ctx context.Context) {
	for {
		if e.nc.IsConnected() {
			e.warn(e.askServers(ctx))
		}
		if backoff.Wait(ctx, askServersEvery) != nil {
			return
		}
	}
}

// warn keeps warnings and logs those that are new.
func (e *Engine) warn(warnings []string) {
	e.mu.Lock()
	before := e.warnings
	e.warnings = warnings
	e.mu.Unlock()
	for _, w := range warnings {
		if !slices.Contains(before, w) {
			e.log.Warn(w)
		}
	}
}

// askServers asks all servers and returns the warnings.
func (e *Engine) askServers(ctx context.Context) []string {
	answers, err := e.serverAnswers(ctx)
	if err != nil || len(answers) == 0 {
		return []string{fmt.Sprintf("NATS does not say whether it syncs every write (%s): what it has acknowledged may be lost when servers lose power, unless each has sync_interval: always; let this account ask %s to have it checked",
			reasonForSilence(err), subjectServers)}
	}
	var lazy, old []string
	for _, a := range answers {
		if !a.Data.Disabled && !a.Data.Config.SyncAlways {
			lazy = append(lazy, fmt.Sprintf("%s (%s)", a.Server.Name, a.Data.Config.SyncInterval))
		}
		if !isRecent(a.Server.Version) {
			old = append(old, fmt.Sprintf("%s (%s)", a.Server.Name, a.Server.Version))
		}
	}
	slices.Sort(lazy)
	slices.Sort(old)
	var warnings []string
	if len(lazy) > 0 {
		warnings = append(warnings, "NATS servers do not sync every write, and may lose what they have acknowledged when they lose power: set sync_interval: always in jetstream of "+strings.Join(lazy, ", "))
	}
	if len(old) > 0 {
		warnings = append(warnings, fmt.Sprintf("NATS servers are older than %d.%d: upgrade %s", oldestMajor, oldestMinor, strings.Join(old, ", ")))
	}
	return warnings
}

func reasonForSilence(err error) string {
	switch {
	case errors.Is(err, natsgo.ErrNoResponders):
		return "its system account is not open to this one"
	case err == nil || errors.Is(err, natsgo.ErrTimeout) || errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	default:
		return err.Error()
	}
}

// serverAnswers collects the answers of servers.
func (e *Engine) serverAnswers(ctx context.Context) ([]serverAnswer, error) {
	sub, err := e.nc.SubscribeSync(e.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // it may have ended with the connection
	if err := e.nc.PublishRequest(subjectServers, sub.Subject, nil); err != nil {
		return nil, err
	}
	var answers []serverAnswer
	for wait := serversWait; len(answers) < mostServers; wait = serversSilence {
		next, cancel := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(next)
		cancel()
		if err != nil {
			if len(answers) > 0 {
				break
			}
			return nil, err
		}
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			return nil, natsgo.ErrNoResponders
		}
		var a serverAnswer
		if json.Unmarshal(m.Data, &a) == nil && a.Server.Name != "" {
			answers = append(answers, a)
		}
	}
	return answers, nil
}
