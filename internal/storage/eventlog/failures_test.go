package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

func TestAppendToAFullLogSaysThatItIsFull(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	config := evConfig(e, 1)
	config.MaxBytes, config.Discard = 4096, jetstream.DiscardNew
	ev, err := e.JetStream().CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	var logged natstest.Lines
	n := runLog(t, e, ev, Options{Log: logged.Logger(slog.LevelWarn)})
	n.mustAppend(t, "a", "1")
	// A time that ends while an answer is on its way says less, which a busy machine
	// makes happen now and then.
	full := 0
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := n.append(ctx, "a", strings.Repeat("x", 5000))
		cancel()
		got, ok := errors.AsType[*wire.Error](err)
		if ok && got.Code == wire.CodeEngineFull {
			full++
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Append = %v, want ENGINE_FULL", err)
		}
		if full == 2 {
			break
		}
	}
	if full < 2 {
		t.Error("Append does not say that the log is full")
	}
	if got := len(n.hub.all()); got != 1 {
		t.Errorf("%d events, want 1", got)
	}
	got := logged.String()
	cause := strings.Contains(got, "maximum bytes exceeded") || strings.Contains(got, context.DeadlineExceeded.Error())
	if strings.Count(got, "\n") != 1 || !cause {
		t.Errorf("logged %q, want one line with the cause", got)
	}
}

// A server that refuses what comes now may have stored it before, when its answer
// was lost.
func TestAppendThatMayBeStoredDoesNotSayThatTheLogIsFull(t *testing.T) {
	t.Parallel()
	for silent, want := range map[int]wire.Code{0: wire.CodeEngineFull, 1: ""} {
		t.Run(fmt.Sprint(silent, " tries without an answer"), func(t *testing.T) {
			t.Parallel()
			s, _ := natstest.Serve(t, t.TempDir(), 0)
			e := openURL(t, s.URL())
			l := newLog(e, makeEV(t, e, 1), Options{})
			if err := e.JetStream().DeleteStream(t.Context(), l.name); err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			sub, err := e.Conn().Subscribe(topicSubject(e, "a"), func(msg *natsgo.Msg) { // played by this test
				if int(asked.Add(1)) > silent {
					_ = msg.Respond([]byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer unsubscribe(sub)
			// If the time ends while an answer is on its way, that try has no answer. On a
			// busy machine this happens to the last try now and then.
			var got wire.Code
			for range 20 {
				if got = storeForAWhile(t, l, &asked); got == want {
					return
				}
				if want == "" {
					break
				}
			}
			t.Errorf("store fails with %q, want the code %q", got, want)
		})
	}
}

// storeForAWhile stores what is never taken, and gives the code of the error.
func storeForAWhile(t *testing.T, l *Log, asked *atomic.Int64) wire.Code {
	t.Helper()
	asked.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), tryTimeout+10*tryPause)
	defer cancel()
	err := l.AppendAll(ctx, []topic.Entry{{Topic: "a"}})[0].Err
	if err == nil {
		t.Fatal("store works, though nothing is taken")
	}
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestTheFirstOfAKindOfFailuresIsLogged(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	var logged natstest.Lines
	n := runLog(t, e, makeEV(t, e, 1), Options{Log: logged.Logger(slog.LevelWarn)})
	n.mustAppend(t, "a", "1")
	enough := errors.New("enough")
	_ = n.Read(t.Context(), "a", 1, 9, func(topic.Stored) error { return enough })
	gone, leave := context.WithCancel(t.Context())
	leave()
	_ = n.Read(gone, "a", 1, 9, func(topic.Stored) error { return nil })
	_, _ = n.append(t.Context(), "a", strings.Repeat("x", 256<<10))
	if got := logged.String(); got != "" {
		t.Errorf("what callers know is logged: %s", got)
	}
	n.stop()
	e.Conn().Close()
	for range 3 {
		if _, err := n.append(t.Context(), "a", "1"); err == nil {
			t.Error("Append without a connection = nil")
		}
		if _, err := readAll(n.Log, "a", 1, 9); err == nil {
			t.Error("Read without a connection = nil")
		}
		if _, _, err := n.Last(t.Context(), "a"); err == nil {
			t.Error("Last without a connection = nil")
		}
	}
	for _, line := range []string{"event not stored", "topic not read", "topic not looked up"} {
		if got := strings.Count(logged.String(), line); got != 1 {
			t.Errorf("%q is logged %d times: %s", line, got, logged.String())
		}
	}
	if got := logged.String(); !strings.Contains(got, natsgo.ErrConnectionClosed.Error()) {
		t.Errorf("the cause is not logged: %s", got)
	}
}

func TestFailuresOfAKindAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var f failures
	begun := time.Now()
	for _, tt := range []struct {
		after  time.Duration
		silent int
		ok     bool
	}{
		{0, 0, true},
		{time.Second, 0, false},
		{failurePause - 1, 0, false},
		{failurePause, 2, true},
		{failurePause + 1, 0, false},
		{3 * failurePause, 1, true},
		{5 * failurePause, 0, true},
	} {
		if silent, ok := f.next(begun.Add(tt.after)); silent != tt.silent || ok != tt.ok {
			t.Errorf("after %v: %d, %v, want %d, %v", tt.after, silent, ok, tt.silent, tt.ok)
		}
	}
}
