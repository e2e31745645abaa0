package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

// pair is the number of a message among those of its consumer, and its position.
type pair struct{ number, seq uint64 }

// consumed is a message of a consumer.
type consumed struct {
	jetstream.Msg
	at pair
}

func (c consumed) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: c.at.number, Stream: c.at.seq}}, nil
}
func (consumed) Headers() natsgo.Header { return nil }
func (consumed) Data() []byte           { return nil }

func TestReadThatLacksSomethingIsCut(t *testing.T) {
	t.Parallel()
	type pairs []pair
	for name, tt := range map[string]struct {
		got  pairs
		want []uint64
		cut  bool
	}{
		"whole":               {pairs{{1, 4}, {2, 5}, {3, 8}}, []uint64{4, 5, 8}, false},
		"more than is wanted": {pairs{{1, 3}, {2, 5}, {3, 10}, {4, 11}}, []uint64{5}, false},
		"the first is lost":   {pairs{{2, 5}, {3, 8}}, nil, true},
		"one between is lost": {pairs{{1, 4}, {3, 8}}, []uint64{4}, true},
		"one comes twice":     {pairs{{1, 4}, {1, 4}, {2, 5}}, []uint64{4}, true},
	} {
		var given []uint64
		r := &topicRead{next: 4, before: 10, take: func(_ *natsgo.Msg, seq uint64, _ time.Time) error {
			given = append(given, seq)
			return nil
		}}
		var err error
		delivered, more := uint64(0), true
		for _, at := range tt.got {
			if more, err = r.got(consumed{at: at}, &delivered); err != nil || !more {
				break
			}
		}
		if !slices.Equal(given, tt.want) || errors.Is(err, errReadCut) != tt.cut || !tt.cut && err != nil {
			t.Errorf("%s: gives %d and %v, want %d, cut %v", name, given, err, tt.want, tt.cut)
		}
	}
}

// A server that goes away says nothing more.
func TestReadOfASilentServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	n.stop()
	var err error
	if n.js, err = jetstream.NewWithAPIPrefix(n.e.Conn(), "PLAYED"); err != nil {
		t.Fatal(err)
	}
	play := func(subject string, by func(msg *natsgo.Msg)) {
		sub, err := n.e.Conn().Subscribe("PLAYED.CONSUMER."+subject, by)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unsubscribe(sub) })
	}
	play("CREATE.>", func(msg *natsgo.Msg) {
		answer, err := json.Marshal(jetstream.ConsumerInfo{Stream: n.name, Name: strings.Split(msg.Subject, ".")[4]})
		if err != nil {
			t.Error(err)
		}
		_ = msg.Respond(answer)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	play("MSG.NEXT.>", func(*natsgo.Msg) { cancel() })
	err = n.Read(ctx, "a", 1, 100, func(topic.Stored) error { t.Error("something was given"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want that its context has ended", err)
	}
}
