package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// carrier is one way in which a stream gets from the program to a client.
type carrier struct {
	protocol
	noParking bool
	parks     bool // an idle stream has no goroutine
}

// carriers are all there are. What differs between them is who writes: the
// engine, a goroutine for each write, or the goroutine of the request.
var carriers = []carrier{
	{protocol{"parked", false, false, "HTTP/1.1"}, false, true},
	{protocol{"not parked", false, false, "HTTP/1.1"}, true, false},
	{protocol{"TLS", true, false, "HTTP/1.1"}, false, true},
	{protocol{"HTTP2", true, true, "HTTP/2.0"}, false, false},
	{protocol{"h2c", false, true, "HTTP/2.0"}, false, false},
}

// scene is one behaviour: what is done, and the record that every carrier has to
// make of it.
type scene struct {
	name string
	only func(carrier) bool // nil: for all
	play func(*site)
	want string
}

// site is one run of the program behind one carrier, and a backend that does as
// the scenes tell it. Its scenes are played one after the other.
type site struct {
	*testing.T
	carrier
	*record
	hooks   *hooks
	program *program
	api     *api

	generation *regexp.Regexp // ids of this process
	asked      chan string    // tokens of clients whose callback waits
	decides    chan int       // statuses for them
	calls      []callback     // that came and are not waited for yet
	hangUps    []func()       // for connections of the scene that are left
	before     int            // descriptors while nobody was connected

	backendConns atomic.Int32

	mu          sync.Mutex
	undelivered map[string]int // by token, guarded by mu
}

// newSite starts a gateway.
func newSite(t *testing.T, c carrier, args ...string) *site {
	t.Helper()
	s := &site{T: t, carrier: c, asked: make(chan string, 1), decides: make(chan int, 1), undelivered: map[string]int{}}
	s.hooks = newHooks(t, s.judge)
	s.hooks.url = s.stand(t) + "/callback?secret=" + callbackSecret
	if c.noParking {
		args = append(args, "--no-parking")
	}
	s.program = c.gateway(t, s.hooks, args...)
	s.api = s.program.api()
	_, answer := s.api.send(toTopic("first", "x"))
	var first struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &first); err != nil {
		t.Fatalf("answer %s: %v", answer, err)
	}
	generation, _, _ := strings.Cut(first.ID, "-")
	s.generation = regexp.MustCompile(generation + `-[0-9a-z.~_]+`)
	s.before = s.descriptors()
	return s
}

// play plays scenes, and the last one if there is one, and gives their records.
func (s *site) play(scenes []scene, last ...scene) map[string]string {
	s.Helper()
	defer func() {
		select {
		case <-s.program.gone:
		default:
			s.Logf("the program has %d files open, at first it had %d", s.descriptors(), s.before)
		}
	}()
	records := map[string]string{}
	for _, sc := range scenes {
		if sc.only != nil && !sc.only(s.carrier) {
			continue
		}
		records[sc.name] = s.show(sc)
		eventually(s.T, "nobody is connected", func() bool {
			for _, hangUp := range s.hangUps {
				hangUp()
			}
			// The API's own connection is there whenever it was asked.
			return s.api.metric("tidegate_streams") == "0" && s.descriptors() == s.before
		})
		s.hangUps = nil
		if len(s.calls)+len(s.hooks.calls) > 0 {
			s.Fatalf("%s: callbacks that nobody expects: %+v", sc.name, s.calls)
		}
	}
	for _, sc := range last {
		records[sc.name] = s.show(sc)
	}
	return records
}

// show plays one scene and compares its record with what it is to be.
func (s *site) show(sc scene) string {
	s.Helper()
	s.record = &record{generation: s.generation, ids: map[string]string{}}
	begin := time.Now()
	sc.play(s)
	s.Logf("%s: %s", sc.name, time.Since(begin).Round(time.Millisecond))
	got := s.text.String()
	wantSame(s.T, sc.name, got, strings.TrimPrefix(sc.want, "\n"))
	return got
}

// judge is the backend's mind. What it says to whom is in the target.
func (s *site) judge(cb callback) verdict {
	if cb.Action == "disconnect" {
		return verdict{status: http.StatusOK}
	}
	path, _, _ := strings.Cut(cb.Request.URL, "?")
	if path == "/waits" {
		s.asked <- cb.Token
		select {
		case status := <-s.decides:
			return verdict{status: status}
		case <-time.After(patience):
			s.Errorf("nobody decided about %s", cb.Request.URL)
		}
	}
	status := http.StatusOK
	_, _ = fmt.Sscanf(path, "/refused/%d", &status)
	return verdict{status: status}
}

// stand listens in front of the hooks and gives the address.
func (s *site) stand(t *testing.T) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := &http.Server{Handler: http.HandlerFunc(s.serveCallback), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.backendConns.Add(1)
		case http.StateClosed:
			s.backendConns.Add(-1)
		}
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = front.Serve(l) })
	t.Cleanup(func() {
		_ = front.Close()
		serving.Wait()
	})
	return "http://" + l.Addr().String()
}

// serveCallback stands before the hooks, to see what they do not look at and to
// add what they do not say.
func (s *site) serveCallback(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var cb struct {
		Token       string
		Undelivered int
	}
	_ = json.Unmarshal(body, &cb) // the hooks complain
	s.mu.Lock()
	s.undelivered[cb.Token] = cb.Undelivered
	s.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.Header().Set("Retry-After", "7")
	s.hooks.ServeHTTP(w, r)
}

// sends sends a message and notes the answer.
func (s *site) sends(format string, args ...any) {
	s.Helper()
	status, answer := s.api.send(fmt.Sprintf(format, args...))
	s.note("answer %d %s\n", status, strings.TrimSpace(answer))
}

// publishes does so without noting, and gives the id.
func (s *site) publishes(topic, data string) (id string) {
	s.Helper()
	status, answer := s.api.send(toTopic(topic, data))
	var got struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK {
		s.Fatalf("publish: %d %s", status, answer)
	}
	return got.ID
}

// batch sends many messages at once, all of which must be taken.
func (s *site) batch(messages ...string) {
	s.Helper()
	status, answers := s.api.call(http.MethodPost, "/internal/send", "application/x-ndjson", strings.Join(messages, "\n"))
	if n := strings.Count(answers, `"code":200`); status != http.StatusOK || n != len(messages) {
		s.Errorf("batch of %d: %d, %d taken: %.300s", len(messages), status, n, answers)
	}
}

// ended waits for the disconnects of these streams and notes them in this order.
func (s *site) ended(guests ...*guest) {
	s.Helper()
	for _, v := range guests {
		s.endedToken(v.token)
	}
}

func (s *site) endedToken(token string) callback {
	s.Helper()
	cb := s.next("disconnect", token)
	s.note("disconnect %s %s", cb.Reason, cb.Detail)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.undelivered[token]; n > 0 {
		s.note(" undelivered %d", n)
	}
	s.note("\n")
	return cb
}

// next waits for a callback that was accepted, of a token or of any. Others that
// come before it are kept: the backend books what it answered after the gateway
// has the answer, so that a connect may come behind its disconnect here.
func (s *site) next(action, token string) callback {
	s.Helper()
	for late := time.After(patience); ; {
		for i, cb := range s.calls {
			if cb.Action == action && (token == "" || cb.Token == token) {
				s.calls = slices.Delete(s.calls, i, i+1)
				return cb
			}
		}
		select {
		case cb := <-s.hooks.calls:
			s.calls = append(s.calls, cb)
		case <-late:
			s.Fatalf("no %s callback came", action)
		}
	}
}
