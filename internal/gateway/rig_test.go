package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/access"
	"tidegate/internal/gateway"
	"tidegate/internal/pipenet"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
)

// rig is a gateway between a scripted backend and clients, all of them joined by
// real HTTP. On sockets it is for tests in which nothing depends on time; on
// pipes, in a synctest bubble, it is for the others.
type rig struct {
	t       testing.TB
	gateway *gateway.Gateway
	backend *backend
	dial    dialer // to the public listener
	api     *http.Client
	member  *member // of a cluster; nil: there is none
	halt    func()  // stops the gateway as the program does; once
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// network is where a rig listens.
type network func(t testing.TB) (net.Listener, dialer)

func sockets(t testing.TB) (net.Listener, dialer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
}

// pipes is the network of a synctest bubble.
func pipes(testing.TB) (net.Listener, dialer) {
	l := pipenet.Listen()
	return l, l.DialContext
}

const callbackURL = "http://backend.test/api/sse/callback?secret=s3cret"

// internalKey is a secret of the internal routes.
const internalKey = "internal-s3cret-key"

// secrets has it alone.
func secrets(t testing.TB) *access.Secrets {
	t.Helper()
	s, err := access.NewSecrets(internalKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is how long a test waits for what should come at once.
const patience = time.Minute

// setup starts a rig; change may change the options that it starts with.
func setup(t testing.TB, on network, change func(*gateway.Options)) *rig {
	t.Helper()
	b := newBackend(t, on)
	opts := gateway.Options{
		Topics: topic.New(topic.Options{
			Namespaces: map[string]topic.Retention{
				"task":    {Events: 100, Replay: topic.ReplayAll},
				"version": {Events: 1, Replay: topic.ReplayLast},
				"short":   {Events: 2, Replay: topic.ReplayAll},
			},
			Default: topic.Retention{Events: 10, Replay: topic.ReplayNone},
		}),
		CallbackURL: callbackURL,
		Transport:   b.transport,
	}
	if change != nil {
		change(&opts)
	}
	r := &rig{t: t, gateway: gateway.New(opts), backend: b}
	r.start(on)
	return r
}

// start mounts the gateway and registers its stop.
func (r *rig) start(on network) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.gateway.Run(ctx) })

	public, dialPublic := on(r.t)
	internal, dialInternal := on(r.t)
	r.dial = dialPublic
	closePublic := serve(public, r.gateway.Public())
	closeInternal := serve(internal, r.gateway.Internal())
	transport := &http.Transport{DialContext: dialInternal}
	r.api = &http.Client{Transport: transport}

	r.halt = sync.OnceFunc(func() {
		patience, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		r.gateway.Drain(patience, 0)
		cancel()
		running.Wait()
	})
	r.t.Cleanup(func() {
		r.backend.letGo()
		r.halt()
		transport.CloseIdleConnections()
		closePublic()
		closeInternal()
		r.backend.close()
	})
}

// serve answers on l and gives a way to end it and wait for it.
func serve(l net.Listener, h http.Handler) (stop func()) {
	s := &http.Server{Handler: h, ConnContext: stream.ConnContext}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	return func() {
		_ = s.Close()
		serving.Wait()
	}
}

// reply is an answer of the internal API.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// call does a request to the internal API.
func (r *rig) call(method, path, contentType, body string, headers ...string) reply {
	r.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, "http://gateway.localhost"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := r.api.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func (r *rig) get(path string) reply { r.t.Helper(); return r.call(http.MethodGet, path, "", "") }

func (r *rig) send(body string) reply {
	r.t.Helper()
	return r.call(http.MethodPost, "/internal/send", "application/json", body)
}

// mustSend sends an event to a token and wants the status word.
func (r *rig) mustSend(token, data, status string) {
	r.t.Helper()
	got := r.send(`{"token":` + quote(token) + `,"event":{"data":` + quote(data) + `}}`)
	if want := `{"status":"` + status + `"}`; got.Status != http.StatusOK || got.Body != want {
		r.t.Fatalf("send to a token: %d %s, want 200 %s", got.Status, got.Body, want)
	}
}

// publish appends an event to a topic and gives its id.
func (r *rig) publish(topic, data string) string {
	r.t.Helper()
	got := r.send(`{"topic":` + quote(topic) + `,"event":{"data":` + quote(data) + `}}`)
	if got.Status != http.StatusOK {
		r.t.Fatalf("publish: %d %s", got.Status, got.Body)
	}
	return fieldOf(r.t, got.Body, "id")
}

func (r *rig) subscribe(token, topics string) reply {
	r.t.Helper()
	return r.call(http.MethodPost, "/internal/subscribe", "application/json", `{"token":`+quote(token)+`,"topics":`+topics+`}`)
}

// count reads one series of /metrics; 0 if it is not there.
func (r *rig) count(series string) string {
	r.t.Helper()
	for line := range strings.Lines(r.get("/metrics").Body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return value
		}
	}
	return "0"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fieldOf reads a string field of a JSON object; "" if it has none.
func fieldOf(t testing.TB, body, name string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("not a JSON object: %q: %v", body, err)
	}
	var value string
	_ = json.Unmarshal(fields[name], &value)
	return value
}

// codeOf reads the code of an error answer, which must have nothing else but a message.
func codeOf(t testing.TB, body string) string {
	t.Helper()
	var answer struct {
		Error struct{ Message, Code string } `json:"error"`
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil || answer.Error.Message == "" {
		t.Fatalf("not an error answer: %q: %v", body, err)
	}
	return answer.Error.Code
}

// wantError checks an error answer: status, code, and that it is JSON.
func wantError(t testing.TB, what string, got reply, status int, code string) {
	t.Helper()
	if kind := got.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("%s: Content-Type %q, want JSON (%d %s)", what, kind, got.Status, got.Body)
		return
	}
	if c := codeOf(t, got.Body); got.Status != status || c != code {
		t.Errorf("%s: %d %s, want %d %s", what, got.Status, got.Body, status, code)
	}
}

// callbackKey signs callbacks where a test wants it.
const callbackKey = "callback-key-0123456789"

func secretsOf(t testing.TB, texts ...string) *access.Secrets {
	t.Helper()
	s, err := access.NewSecrets(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
