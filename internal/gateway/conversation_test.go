package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestConversations replays testdata/*.txtar. A conversation is a list of steps,
// each followed by all that it brought about:
//
//	-- client a: GET /path --      a client asks for a stream; below it, header lines
//	-- a leaves --
//	-- backend answers 403 --      from now on; below it, header lines
//	-- backend waits --            before it answers, until it goes on
//	-- backend goes on --
//	-- POST /internal/send --      or another request to the internal API; below it, the body
//	-- 15s pass --
//	-- gateway drains --
//
//	-- callback --                 what the backend got
//	-- answer --                   to the request: status and body
//	-- a gets --                   what came since, with the head where it came; (end) and (cut)
//
// {a} stands for the token of a, GEN and SEAL for the parts of event ids that
// differ from process to process, JITTER for a number that is random. With -update
// everything but the steps is written anew.
func TestConversations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			want, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got *txtar.Archive
			synctest.Test(t, func(t *testing.T) { got = replay(t, want) })
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" {
				t.Errorf("the conversation went otherwise (-want +got)\n%s", diff)
			}
		})
	}
}

// conversation is one that is being replayed.
type conversation struct {
	*rig
	out     *txtar.Archive
	names   []string // of the clients, in order
	clients map[string]*client
	tokens  map[string]string // by name
	shown   map[string]string // what of each client's side has been written down
	words   map[string]string // what stands for what differs between runs
	ids     map[string]string // sealed ids, by what stands for them
}

func replay(t *testing.T, script *txtar.Archive) *txtar.Archive {
	c := &conversation{
		rig: setup(t, pipes, func(o *gateway.Options) { o.CallbackTimeout = 5 * time.Second }),
		out: &txtar.Archive{Comment: script.Comment}, clients: map[string]*client{}, tokens: map[string]string{},
		shown: map[string]string{}, words: map[string]string{}, ids: map[string]string{},
	}
	for _, f := range script.Files {
		if f.Name == "callback" || f.Name == "answer" || strings.HasSuffix(f.Name, " gets") {
			continue
		}
		c.write(f.Name, string(f.Data))
		c.step(f.Name, c.real(string(f.Data)))
		synctest.Wait()
		c.collect()
	}
	return c.out
}

func (c *conversation) write(name, data string) {
	if data != "" && !strings.HasSuffix(data, "\n") {
		data += "\n"
	}
	c.out.Files = append(c.out.Files, txtar.File{Name: name, Data: []byte(data)})
}

func (c *conversation) step(name, body string) {
	words := strings.Fields(name)
	switch {
	case words[0] == "client":
		who := strings.TrimSuffix(words[1], ":")
		c.names = append(c.names, who)
		c.clients[who] = c.open(c.real(words[3]), lines(body)...)
	case words[0] == "backend":
		c.backendStep(words[1:], lines(body))
	case name == "gateway drains":
		c.gateway.Drain(c.t.Context(), 0)
	case words[1] == "leaves":
		c.clients[words[0]].leave()
		c.names = slices.DeleteFunc(c.names, func(name string) bool { return name == words[0] })
	case words[1] == "pass":
		d, err := time.ParseDuration(words[0])
		if err != nil {
			c.t.Fatal(err)
		}
		time.Sleep(d)
	default:
		kind := ""
		if body != "" {
			kind = "application/json"
		}
		if strings.Count(strings.TrimSpace(body), "\n") > 0 {
			kind = "application/x-ndjson"
		}
		got := c.call(words[0], c.real(words[1]), kind, body)
		c.write("answer", c.general(fmt.Sprint(got.Status, " ", http.StatusText(got.Status), "\n", got.Body)))
	}
}

func lines(text string) []string {
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (c *conversation) backendStep(words, header []string) {
	switch words[0] {
	case "waits":
		c.backend.hold()
	case "goes":
		c.backend.letGo()
	case "answers":
		status, err := strconv.Atoi(words[1])
		if err != nil {
			c.t.Fatal(err)
		}
		c.backend.handle(func(w http.ResponseWriter, _ callback) {
			for _, line := range header {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
		})
	default:
		c.t.Fatalf("no such step: backend %v", words)
	}
}

// collect writes down what the last step brought about.
func (c *conversation) collect() {
	var callbacks []string
	for len(c.backend.calls) > 0 {
		cb := <-c.backend.calls
		if cb.Action == wire.Connect { // of the client that has just come
			c.tokens[c.names[len(c.names)-1]] = cb.Token
		}
		c.words[cb.Gateway] = "GATEWAY"
		callbacks = append(callbacks, c.general(cb.Raw))
	}
	slices.Sort(callbacks) // those of one step come side by side
	for _, text := range callbacks {
		c.write("callback", text)
	}
	for _, name := range c.names {
		text := c.side(c.clients[name])
		if added := strings.TrimPrefix(text, c.shown[name]); added != "" {
			c.write(name+" gets", c.general(added))
		}
		c.shown[name] = text
	}
}

// side is all that a client has got so far.
func (c *conversation) side(client *client) string {
	client.mu.Lock()
	defer client.mu.Unlock()
	var b strings.Builder
	if client.head != nil {
		fmt.Fprintf(&b, "%s\n", client.head.Status)
		for _, name := range []string{"Content-Type", "Cache-Control", "X-Accel-Buffering", "Retry-After"} {
			if value := client.head.Header.Get(name); value != "" {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
		}
		b.WriteByte('\n')
	}
	b.Write(client.body)
	if client.err != nil && client.head != nil {
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(map[bool]string{true: "(end)\n", false: "(cut)\n"}[client.err.Error() == "EOF"])
	}
	return b.String()
}

var (
	aSealed = regexp.MustCompile(`\b([a-z2-7]{8})-([0-9a-z.~-]+)_[a-z2-7]{7}\b`)
	anID    = regexp.MustCompile(`(?:"id":"|id: )([a-z2-7]{8})-`)
	aRetry  = regexp.MustCompile(`retry: \d+`)
	aMoment = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
)

// general puts words in place of what differs between runs.
func (c *conversation) general(text string) string {
	if id := anID.FindStringSubmatch(text); id != nil {
		c.words[id[1]] = "GEN"
	}
	for name, token := range c.tokens {
		text = strings.ReplaceAll(text, token, "{"+name+"}")
	}
	text = aSealed.ReplaceAllStringFunc(text, func(id string) string {
		parts := aSealed.FindStringSubmatch(id)
		if c.words[parts[1]] != "GEN" {
			return id
		}
		general := "GEN-" + parts[2] + "_SEAL"
		c.ids[general] = id
		return general
	})
	for word, general := range c.words {
		text = strings.ReplaceAll(text, word, general)
	}
	return aMoment.ReplaceAllString(aRetry.ReplaceAllString(text, "retry: JITTER"), "MOMENT")
}

// real is the reverse of general, in one pass: a token may have GEN in it by chance.
func (c *conversation) real(text string) string {
	var pairs []string
	for name, token := range c.tokens {
		pairs = append(pairs, "{"+name+"}", token)
	}
	for general, id := range c.ids { // before the words, which they begin with
		pairs = append(pairs, general, id)
	}
	for word, general := range c.words {
		pairs = append(pairs, general, word)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
