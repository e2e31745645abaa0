package backend

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/wire"
)

const versionURL = "/api/sse/utils/version?request_id=tab1"

func TestBE1AHangingGatewayDelaysNoOtherConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) { o.Replace = true })
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.FormValue("topic") == "version:tab1" {
				<-r.Context().Done() // the replacement at the first stream's id hangs
				return true
			}
			return false
		}
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() { wantOK(t, b.connect("t1", versionURL)) })
		synctest.Wait()
		wantOK(t, b.connect("t2", "/api/sse/utils/version?request_id=tab2"))
		wantOK(t, b.disconnect("t1", versionURL, wire.ClientClosed))
		if took := time.Since(began); took > 0 {
			t.Errorf("another connect took %v while the gateway hung", took)
		}
		wg.Wait()
		if took := time.Since(began); took > connectBudget {
			t.Errorf("the connect that met the hanging call took %v, may take %v", took, connectBudget)
		}
	})
}

func TestBE1ACloseThatWaitsForItsCallbackDoesNotLock(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Replace = true })
	topics := []string{"version:tab1", "version"}
	b.gateway.streams = []wire.StreamInfo{{Token: "old", Sequence: 1, Topics: topics}, {Token: "new", Sequence: 2, Topics: topics}}
	b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			// A gateway that delivers the disconnect before it answers the close.
			wantOK(t, b.disconnect("old", versionURL, wire.ServerClosed))
		}
		return false
	}
	wantOK(t, b.connect("new", versionURL))
	if got := b.metric(t, "tidegate_backend_streams_replaced_total"); got != 1 {
		t.Errorf("replaced = %v, want 1", got)
	}
}

func TestBE18ACloseThatTakesSecondsIsASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) { o.Replace = true })
		topics := []string{"version:tab1", "version"}
		b.gateway.streams = []wire.StreamInfo{{Token: "old", Sequence: 1, Topics: topics}, {Token: "new", Sequence: 2, Topics: topics}}
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				time.Sleep(2500 * time.Millisecond)
			}
			return false
		}
		wantOK(t, b.connect("new", versionURL))
		if got := b.metric(t, "tidegate_backend_streams_replaced_total"); got != 1 {
			t.Errorf("replaced = %v, want 1", got)
		}
	})
}

func TestBE2LateNewsOfAnOldTokenDoNotTouchTheNewStream(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	wantOK(t, b.connect("old", versionURL))
	wantOK(t, b.connect("new", versionURL))
	b.gateway.called()
	wantOK(t, b.disconnect("old", versionURL, wire.ClientClosed))
	if calls := b.gateway.called(); len(calls) > 0 {
		t.Errorf("the end of the old stream made the backend call %q", calls)
	}
	// What is published afterwards goes to the topic, which the new stream is at.
	if _, err := b.versions.publish(t.Context(), "tab1", Version{Version: "2"}); err != nil {
		t.Fatal(err)
	}
	if got := b.gateway.sent("version:tab1"); len(got) != 1 {
		t.Errorf("topic got %q", got)
	}
}

func TestBE12StreamsOfOneIDDoNotEvictEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for i := range 5 {
		wantOK(t, b.connect(fmt.Sprint("t", i), versionURL))
	}
	for _, call := range b.gateway.called() {
		if !strings.HasPrefix(call, "POST /internal/subscribe ") {
			t.Errorf("a connect made the call %q", call)
		}
	}
}

func TestBE12TwoThatReplaceAtOnceLeaveTheNewerOne(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Replace = true })
	topics := []string{"version:tab1", "version"}
	b.gateway.streams = []wire.StreamInfo{{Token: "a", Sequence: 1, Topics: topics}, {Token: "b", Sequence: 2, Topics: topics}}
	var wg sync.WaitGroup
	for _, token := range []string{"b", "a"} {
		wg.Go(func() { wantOK(t, b.connect(token, versionURL)) })
	}
	wg.Wait()
	if streams := b.gateway.streams; len(streams) != 1 || streams[0].Token != "b" {
		t.Errorf("streams left = %v, want b", streams)
	}
}

// A stream whose callback is slow comes to its topic when a newer one has looked
// there already.
func TestBE12AnOlderStreamThatComesLateEndsItself(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Replace = true })
	for _, c := range []struct {
		url      string
		of       []string // topics of the newer stream
		replaced bool
	}{
		{versionURL, []string{"version:tab1", "version"}, true},
		{"/api/sse/stream?task_id=a&request_id=tab1", []string{"version:tab1", "version"}, true},
		{"/api/sse/tasks?task_id=a", []string{"task:a"}, true},
		{"/api/sse/tasks?task_id=a", []string{"task:a", "task:b"}, true},
		{"/api/sse/stream?task_id=a&task_id=b", []string{"task:a"}, false},
		{"/api/sse/tasks?task_id=a", []string{"task:a", "version:tab1", "version"}, false},
	} {
		r, err := parseRoute(c.url)
		if err != nil {
			t.Fatal(err)
		}
		b.gateway.streams = []wire.StreamInfo{{Token: "old", Sequence: 1, Topics: r.topics()}, {Token: "new", Sequence: 2, Topics: c.of}}
		wantOK(t, b.connect("old", c.url))
		if left := b.gateway.streams; (len(left) == 1) != c.replaced || left[len(left)-1].Token != "new" {
			t.Errorf("%s beside a newer stream at %q: left are %v", c.url, c.of, left)
		}
	}
}

func TestBE13EndsAreCountedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const streams = 20
	for i := range streams {
		wantOK(t, b.connect(fmt.Sprint("t", i), versionURL))
	}
	for i := range streams {
		wantOK(t, b.disconnect(fmt.Sprint("t", i), versionURL, wire.ClientClosed))
		wantOK(t, b.disconnect(fmt.Sprint("t", i), versionURL, wire.ClientClosed)) // the answer was lost
	}
	wantOK(t, b.disconnect("x", versionURL, "made up"))
	opened := b.metric(t, "tidegate_backend_connects_total", "accepted")
	closed := b.metric(t, "tidegate_backend_disconnects_total", "client_closed")
	if opened != streams || closed != streams {
		t.Errorf("%v connects, %v disconnects, want %d each", opened, closed, streams)
	}
	if other := b.metric(t, "tidegate_backend_disconnects_total", "other"); other != 1 {
		t.Errorf("an unknown reason was counted %v times as other, want 1", other)
	}
	if n := strings.Count(b.log.String(), `"stream disconnected"`); n != streams+1 {
		t.Errorf("%d ends were logged, want %d", n, streams+1)
	}
}

func TestTheLogHasNeitherTokensNorHeadersNorSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	request := `"request":{"url":"/api/sse/stream?request_id=tab1&access_token=hidden1","headers":{"cookie":"hidden2","authorization":"hidden3"}}`
	b.post(`{"action":"connect","token":"hidden4",` + request + `}`)
	b.post(`{"action":"disconnect","reason":"error","detail":"slow_consumer","duration_ms":1234,"undelivered":2,"token":"hidden4",` + request + `}`)
	b.gateway.before = refusing("UNAUTHORIZED")
	b.post(`{"action":"connect","token":"hidden4",` + request + `}`)
	log := b.log.String()
	if strings.Contains(log, "hidden") {
		t.Errorf("the log gives something away:\n%s", log)
	}
	for _, want := range []string{
		`"msg":"stream connected","component":"backend","stream":"` + fingerprint("hidden4") + `","identifiers":["version:tab1"]`,
		`"url":"/api/sse/stream?request_id=tab1&access_token=***","request_id":"tab1"`,
		`"reason":"error","detail":"slow_consumer","duration_ms":1234,"undelivered":2`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

func TestAStreamIsRefusedWhenTheGatewayDoesNotAnswerInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
		began := time.Now()
		w := b.connect("t1", versionURL)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("answer = %d %s", w.Code, w.Body)
		}
		if took := time.Since(began); took >= 5*time.Second {
			t.Errorf("the answer took %v: the gateway has given up by then", took)
		}
	})
}
