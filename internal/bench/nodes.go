package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"tidegate/internal/backoff"
)

// otherNodes is how many gateways there are beside the one with the streams.
const otherNodes = 2

// measureNodes has three gateways on one storage, and the streams at the first.
// One event at a time is sent to a token: through that one, through another,
// and to tokens that no stream has.
func measureNodes(ctx context.Context, b *testbed) (err error) {
	others, err := b.startOthers(ctx)
	defer func() {
		for _, g := range others {
			err = errors.Join(err, g.stop())
		}
	}()
	if err != nil {
		return err
	}
	streams := min(fewStreams, b.opts.Streams)
	tokens, err := b.openTokens(streams)
	if err != nil {
		return err
	}
	b.sent.byID = make([]int64, streams)
	own, err := b.api.dial(ctx)
	if err != nil {
		return err
	}
	defer own.close()
	away, err := apiAt(others[0].internal, b.opts.InternalSecret)
	if err != nil {
		return err
	}
	other, err := away.dial(ctx)
	if err != nil {
		return err
	}
	defer other.close()
	_, err = b.timed(func() error { return b.askNodes(ctx, tokens, own, other) })
	return err
}

func (b *testbed) startOthers(ctx context.Context) (list []*gateway, err error) {
	for range otherNodes {
		g, err := b.startOne(ctx)
		if err != nil {
			return list, err
		}
		list = append(list, g)
		b.gateway.pids = append(b.gateway.pids, g.pids...)
	}
	return list, nil
}

// askNodes alternates, so that other load on the machine affects all alike.
func (b *testbed) askNodes(ctx context.Context, tokens []target, own, other *sender) error {
	nowhere := slices.Clone(tokens) // the node of their end is alive, the stream is not there
	gone := slices.Clone(tokens)    // nor is there such a node
	for i, t := range tokens {
		if len(t.name) <= nodeSize {
			return fmt.Errorf("a token of %d characters does not end with the name of a node", len(t.name))
		}
		secret, node := t.name[:len(t.name)-nodeSize], t.name[len(t.name)-nodeSize:]
		last := len(secret) - 1 // of whose bits some must be 0
		nowhere[i].name = swapCase(secret[:last]) + secret[last:] + node
		gone[i].name = secret + swapDigits(node)
	}
	ways := []*askedWay{
		{name: "stream at the node that is asked", conn: own, targets: tokens, status: http.StatusOK},
		{name: "stream at another node", conn: other, targets: tokens, status: http.StatusOK},
		{name: "404: another node has no such stream", conn: other, targets: nowhere, status: http.StatusNotFound},
		{name: "404: no such node", conn: other, targets: gone, status: http.StatusNotFound},
	}
	for range b.opts.Messages {
		for _, w := range ways {
			if err := backoff.Wait(ctx, b.opts.Pace); err != nil {
				return err
			}
			if err := b.askOne(w); err != nil {
				return err
			}
		}
	}
	for _, w := range ways {
		b.figure(w.name+", p50", "ms", millis(w.answered.quantile(0.50)))
		b.figure(w.name+", p99", "ms", millis(w.answered.quantile(0.99)))
	}
	_, err := b.clients.await(b.sent)
	return err
}

// askedWay is a way from a sender to a stream.
type askedWay struct {
	name     string
	conn     *sender
	targets  []target // by stream
	status   int
	answered histogram
}

func (b *testbed) askOne(w *askedWay) error {
	id := rand.IntN(len(w.targets))
	if w.status == http.StatusOK {
		b.sent.byID[id]++
	}
	at := time.Now()
	m := mark{seq: max(1, b.sent.byID[id]), to: int64(id), at: at.UnixNano()}
	status, answer, err := w.conn.exchange(sendPath, typeJSON, appendMessage(nil, w.targets[id], m, b.opts.Size))
	w.answered.add(time.Since(at))
	if err == nil && status != w.status {
		err = fmt.Errorf("%s: answered %d: %.200s", w.name, status, answer)
	}
	return err
}

// nodeSize is the length of a node's name, with which its tokens end.
const nodeSize = 8

// swapCase makes another token of one.
func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// swapDigits makes another name of one: its letters and digits are those of
// names all the same.
func swapDigits(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	if string(b) == s {
		b[0] = 'a' + (b[0]+1)%26
	}
	return string(b)
}
