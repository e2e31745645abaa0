package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/gateway"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

func TestRoutesAndDocumentAgree(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	if got := r.get("/internal/openapi.json"); got.Body != string(gateway.OpenAPI) || got.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("the document that is served is %d %q, %d bytes", got.Status, got.Header.Get("Content-Type"), len(got.Body))
	}
	want := slices.Sorted(maps.Keys(gateway.InternalRoutes(r.gateway)))
	want = append(want, "GET /healthz", "GET /readyz", "GET /{path}", "POST /{path}", "OPTIONS /{path}")
	slices.Sort(want)
	var got []string
	for _, o := range readDocument(t).operations() {
		got = append(got, o.method+" "+o.path)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes and openapi.json (-routes +document)\n%s", diff)
	}
}

// TestExamplesFitTheirSchemas: all examples of the document, wherever they are.
func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	examples := 0
	var walk func(node any, where string)
	walk = func(node any, where string) {
		switch n := node.(type) {
		case map[string]any:
			if ref, ok := n["$ref"].(string); ok {
				if d.follow(n) == nil {
					t.Errorf("%s: nothing at %s", where, ref)
				}
			}
			cases, _ := n["examples"].(map[string]any)
			for name, example := range cases {
				examples++
				for _, fault := range d.check(n["schema"], at(example, "value"), where+" "+name) {
					t.Error(fault)
				}
			}
			for name, child := range n {
				walk(child, where+"/"+name)
			}
		case []any:
			for i, child := range n {
				walk(child, fmt.Sprint(where, "/", i))
			}
		}
	}
	walk(map[string]any(d), "")
	if examples < 50 {
		t.Errorf("only %d examples were found", examples)
	}
}

// TestRequestExamplesAreAccepted: by a gateway that has what they speak of.
func TestRequestExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	for id, o := range d.operations() {
		content, _ := at(o.node, "requestBody", "content").(map[string]any)
		for kind, media := range content {
			cases, _ := at(media, "examples").(map[string]any)
			for name, example := range cases {
				r := setup(t, sockets, nil)
				_, token := r.accepted("/x")
				value := at(example, "value")
				body, isText := value.(string)
				if !isText {
					encoded, err := json.Marshal(value)
					if err != nil {
						t.Fatal(err)
					}
					body = string(encoded)
				}
				got := r.call(o.method, o.path, kind, strings.ReplaceAll(body, "q4jvLJm0l7mVwG0zZ2b6fA", token))
				if got.Status != 200 || strings.Contains(got.Body, `"error"`) {
					t.Errorf("%s, example %q: %d %s", id, name, got.Status, got.Body)
				}
			}
		}
	}
}

// TestDocumentHasTheClosedLists that callbacks use.
func TestDocumentHasTheClosedLists(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	var reasons, details []any
	for _, e := range wire.Endings() {
		if !slices.Contains(reasons, any(string(e.Reason))) {
			reasons = append(reasons, string(e.Reason))
		}
		if e.Detail != "" {
			details = append(details, string(e.Detail))
		}
	}
	for name, want := range map[string][]any{"reason": reasons, "detail": details} {
		got := at(map[string]any(d), "components", "schemas", "Callback", "properties", name, "enum")
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("%s of a callback (-list +document)\n%s", name, diff)
		}
	}
	r := setup(t, sockets, func(o *gateway.Options) { o.CallbackSecrets = secretsOf(t, callbackKey) })
	c, _ := r.accepted("/x")
	c.leave()
	var body any
	cb := r.backend.next(wire.Disconnect)
	if err := json.Unmarshal([]byte(cb.Raw), &body); err != nil {
		t.Fatal(err)
	}
	signature := at(map[string]any(d), "components", "parameters", "Signature", "schema")
	faults := d.check(at(map[string]any(d), "components", "schemas", "Callback"), body, "disconnect")
	for _, fault := range append(faults, d.check(signature, cb.Header.Get(wire.SignatureHeader), "signature")...) {
		t.Error(fault)
	}
}

// coverage compares answers with the document, and remembers which of its
// errors have been seen.
type coverage struct {
	t    *testing.T
	d    document
	seen map[string]bool
}

// saw checks an answer against what the document says of an operation.
func (c *coverage) saw(id string, got reply) {
	c.t.Helper()
	o, ok := c.d.operations()[id]
	if !ok {
		c.t.Fatalf("no operation %s", id)
	}
	status := fmt.Sprint(got.Status)
	response := c.d.follow(at(o.node, "responses", status))
	if response == nil {
		status = status[:1] + "XX"
		response = c.d.follow(at(o.node, "responses", status))
	}
	if response == nil {
		c.t.Errorf("%s: %d %.100s is not in the document", id, got.Status, got.Body)
		return
	}
	schema := at(response, "content", "application/json", "schema")
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(got.Body), &value); err != nil {
		c.t.Errorf("%s: %d %q: %v", id, got.Status, got.Body, err)
	}
	for _, fault := range c.d.check(schema, value, id+" "+status) {
		c.t.Errorf("%s in %.200s", fault, got.Body)
	}
	if code, ok := at(value, "error", "code").(string); ok {
		c.seen[id+" "+status+" "+code] = true
	}
}

// documented lists the errors of all operations as "operation status code".
func (d document) documented() []string {
	var all []string
	for id, o := range d.operations() {
		for status, response := range at(o.node, "responses").(map[string]any) {
			if status == "default" {
				continue
			}
			parts := list(at(d.follow(response), "content", "application/json", "schema", "allOf"))
			for _, part := range parts {
				for _, code := range list(at(part, "properties", "error", "properties", "code", "enum")) {
					all = append(all, fmt.Sprint(id, " ", status, " ", code))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestEveryDocumentedErrorHappens, and every answer is as the document says.
func TestEveryDocumentedErrorHappens(t *testing.T) {
	t.Parallel()
	c := &coverage{t: t, d: readDocument(t), seen: map[string]bool{}}
	c.wrongSecrets()
	c.messages()
	c.manyTopics()
	c.listings()
	c.refusedStreams()
	for _, want := range c.d.documented() {
		if !c.seen[want] {
			t.Errorf("documented, but never seen: %s", want)
		}
	}
}

func (c *coverage) wrongSecrets() {
	r := setup(c.t, sockets, func(o *gateway.Options) { o.Secrets = secrets(c.t) })
	open := setup(c.t, sockets, nil)
	for id, o := range c.d.operations() {
		if security, none := at(o.node, "security").([]any); !none || len(security) > 0 {
			c.saw(id, r.call(o.method, o.path, "", ""))
			c.saw(id, r.call(o.method, o.path, "", "", "Origin", "https://evil.test"))
			c.saw(id, open.call(o.method, o.path, "", "", "Host", "evil.test"))
		}
	}
}

// messages provokes all that send, subscribe and unsubscribe answer.
func (c *coverage) messages() {
	r := setup(c.t, sockets, func(o *gateway.Options) {
		o.MaxBody, o.MaxPending = 5000, 4096
		o.Topics = topic.New(topic.Options{Default: topic.Retention{Events: 10}, MaxTopics: 2})
	})
	_, token := r.accepted("/x")
	tok := `"token":"` + token + `"`
	post := func(id, body string) {
		c.t.Helper()
		c.saw(id, r.call(http.MethodPost, "/internal/"+id, "application/json", body))
	}
	for _, body := range []string{
		`{`, `{}`, `{` + tok + `,"topic":"t"}`, `{"topic":""}`, `{` + tok + `,"event":1}`, `{` + tok + `,"event":{}}`,
		`{` + tok + `,"event":{"data":"","name":1}}`, `{` + tok + `,"event":{"data":"","name":"\n"}}`, `{` + tok + `,"close":1}`,
		`{` + tok + `,"idempotency_key":"k"}`, `{` + tokenNone + `}`, `{` + tok + `,"event":{"data":"x"}}`, `{"topic":"a","event":{"data":"x"},"close":true}`,
		`{"topic":"a","event":{"data":"x"}}`, strings.Repeat(" ", 5001), `{"topic":"a"}`, `{"topic":"a","event":{"data":"x","transient":1}}`, `{"topic":"a","event":{"data":"x","transient":true}}`,
		`{"topic":"b","event":{"data":"x"},"idempotency_key":"k"}`, `{"topic":"b","event":{"data":"y"},"idempotency_key":"k"}`,
	} {
		post("send", body)
	}
	for _, id := range []string{"subscribe", "unsubscribe"} {
		for _, body := range []string{
			`{`, `{}`, `{` + tok + `}`, `{` + tok + `,"topics":["b"],"from":""}`, `{` + tokenNone + `,"topics":["b"]}`, `{` + tok + `,"topics":["b"]}`,
			strings.Repeat(" ", 5001),
		} {
			post(id, body)
		}
	}
	post("subscribe", `{`+tok+`,"topics":["b"]}`)
	post("subscribe", `{`+tok+`,"topics":["c"]}`)
	post("send", `{"topic":"e","event":{"data":"x"}}`)
	post("subscribe", `{`+tok+`,"topics":["f","g"]}`)
	for _, id := range []string{"subscribe", "unsubscribe"} {
		post(id, `{`+tok+`,"topics":["b"],"override":true}`)
		post(id, `{`+tok+`,"topics":["b"],"absent":[{}]}`)
	}
	post("subscribe", `{`+tok+`,"topics":["b"],"absent":[{"topic":"none","events":[{"data":"x"}]}]}`)
	for _, id := range []string{"send", "subscribe", "unsubscribe"} {
		c.saw(id, r.call(http.MethodPost, "/internal/"+id, "text/plain", "x"))
	}
	r.backend.hold()
	r.open("/pending")
	pending := r.backend.next(wire.Connect).Token
	for range 2 {
		post("send", `{"token":"`+pending+`","event":{"data":"`+strings.Repeat("x", 3000)+`"}}`)
	}
}

func (c *coverage) manyTopics() {
	r := setup(c.t, sockets, nil)
	_, token := r.accepted("/x")
	for _, id := range []string{"subscribe", "unsubscribe"} {
		c.saw(id, r.call(http.MethodPost, "/internal/"+id, "application/json", `{"token":"`+token+`","topics":`+manyTopics(wire.MaxTopics+1)+`}`))
	}
}

// listings provokes all that the other routes answer.
func (c *coverage) listings() {
	r := setup(c.t, sockets, nil)
	_, token := r.accepted("/x", "Last-Event-ID: 7")
	r.subscribe(token, `["task:1"]`)
	r.send(`{"topic":"task:1","event":{"name":"n","data":"x"}}`)
	r.send(`{"topic":"task:2","event":{"data":"x"},"close":true}`)
	for _, query := range []string{"", "?limit=1", "?limit=0"} {
		c.saw("listStreams", r.get("/internal/streams"+query))
		c.saw("listTopics", r.get("/internal/topics"+query))
		c.saw("listEvents", r.get("/internal/topics/task:1/events"+query))
	}
	c.saw("listEvents", r.get("/internal/topics/task:1/events?after=x"))
	c.saw("listEvents", r.get("/internal/topics/none/events"))
	c.saw("listEvents", r.get("/internal/topics/task:2/events"))
	for _, name := range []string{"task:1", "task:2", "none"} {
		c.saw("showTopic", r.get("/internal/topics/"+name))
		c.saw("deleteTopic", r.call(http.MethodDelete, "/internal/topics/"+name, "", ""))
	}
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailTopicClosed)
	_, token = r.accepted("/x")
	c.saw("showStream", r.get("/internal/streams/"+token))
	c.saw("showStream", r.get("/internal/streams/none"))
	for _, path := range []string{token + "?detail=x", token, "none"} {
		c.saw("closeStream", r.call(http.MethodDelete, "/internal/streams/"+path, "", ""))
	}
	c.saw("showOpenAPI", r.get("/internal/openapi.json"))
	c.saw("showMetrics", r.get("/metrics"))
	c.saw("healthz", r.get("/healthz"))
	c.saw("readyz", r.get("/readyz"))
	r.gateway.StopReady()
	c.saw("readyz", r.get("/readyz"))
	c.saw("preflight", r.public(http.MethodOptions, "/x", ""))
}

// refusedStreams provokes all that a client gets instead of a stream.
func (c *coverage) refusedStreams() {
	both := func(r *rig, path, body string) {
		c.t.Helper()
		c.saw("openStream", r.public(http.MethodGet, path, body))
		c.saw("openStreamWithBody", r.public(http.MethodPost, path, body))
	}
	for _, status := range []int{302, 401, 403, 418, 429, 500, 501, 503, 504} {
		r := setup(c.t, sockets, nil)
		r.backend.connects(status)
		both(r, "/x", "")
	}
	r := setup(c.t, sockets, nil)
	both(r, "/internal/send", "")
	both(r, "/x", strings.Repeat("x", gateway.MaxStreamBody+1))
	// Other methods are answered as the document says of these two.
	c.saw("openStream", r.public(http.MethodPut, "/x", ""))
	c.saw("openStreamWithBody", r.public(http.MethodPut, "/x", ""))
	r.backend.breaks()
	both(r, "/x", "")
	both(setup(c.t, sockets, func(o *gateway.Options) { o.CallbackURL = "" }), "/x", "")
	both(setup(c.t, sockets, func(o *gateway.Options) { o.MaxConns = -1 }), "/x", "")
	r = setup(c.t, sockets, func(o *gateway.Options) { o.CallbackTimeout = 1 })
	r.backend.hold()
	both(r, "/x", "")
}
