package backend

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tidegate/client"
	"tidegate/internal/wire"
)

func publishVersion(t *testing.T, b *testBundle, requestID, version string) {
	t.Helper()
	if _, err := b.versions.publish(t.Context(), requestID, Version{Version: version}); err != nil {
		t.Fatal(err)
	}
}

func TestAConnectNeverWaitsForAVersionThatIsBeingPublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/internal/send" {
				<-r.Context().Done()
				return true
			}
			return false
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := b.versions.publish(t.Context(), "", Version{Version: "1"}); !errors.Is(err, client.ErrUnreachable) {
				t.Errorf("publish = %v", err)
			}
		})
		synctest.Wait()
		if v, _ := b.versions.latest(); v.Version != "1" {
			t.Errorf("latest = %q while it is being published", v.Version)
		}
		plan := b.versions.plan("tab1", false) // would block the bubble for ever if it waited
		if diff := cmp.Diff([]string{"version"}, plan.replay); diff != "" {
			t.Error(diff)
		}
		wg.Wait()
	})
}

func TestBE25ANoticeThatCameDuringTheConnectIsNotLost(t *testing.T) {
	t.Parallel()
	for _, requestID := range []string{"tab1", ""} {
		b := setup(t, nil)
		publishVersion(t, b, "", "1")
		if requestID == "" {
			publishVersion(t, b, "tab1", "2")
		}
		var once sync.Once
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/internal/subscribe" {
				once.Do(func() { publishVersion(t, b, requestID, "3") }) // the plan is made, the stream not attached
			}
			return false
		}
		wantOK(t, b.connect("t1", versionURL))
		if diff := cmp.Diff([]string{`version {"version":"3"}`}, b.gateway.sent("t1")); diff != "" {
			t.Errorf("published to %q meanwhile: %s", requestID, diff)
		}
	}
}

func TestAStreamThatMissedNothingIsSentNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	publishVersion(t, b, "", "1")
	var once sync.Once
	b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/internal/subscribe" {
			once.Do(func() { publishVersion(t, b, "another", "2"); publishVersion(t, b, "", "3") })
		}
		return false
	}
	wantOK(t, b.connect("t1", versionURL)) // replays "version", so gets 3 from there
	if got := b.gateway.sent("t1"); len(got) > 0 {
		t.Errorf("the stream was sent %q", got)
	}
}

func TestANoticeThatMayNotHaveArrivedLeavesBothTopicsOpen(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	publishVersion(t, b, "", "1")
	b.gateway.before = func(http.ResponseWriter, *http.Request) bool { return true } // taken or not, no answer
	if _, err := b.versions.publish(t.Context(), "tab1", Version{Version: "2"}); err == nil {
		t.Fatal("publish without an answer succeeded")
	}
	b.gateway.before = nil
	if v, _ := b.versions.latest(); v.Version != "1" {
		t.Errorf("latest = %q, want 1", v.Version)
	}
	plan := b.versions.plan("tab1", false)
	if len(plan.replay) != 2 || len(plan.latest) != 0 {
		t.Errorf("plan = %+v, want both replayed", plan)
	}
	publishVersion(t, b, "", "3") // newer than what is in doubt
	if plan := b.versions.plan("tab1", false); len(plan.replay) != 1 || plan.replay[0] != "version" {
		t.Errorf("plan = %+v, want version alone replayed", plan)
	}
}

func TestEvictedNoticesLeaveBothTopicsOpen(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.versions.byID = newNotices(2, maxNoticeBytes)
	publishVersion(t, b, "", "1")
	for _, id := range []string{"a", "b", "c"} {
		publishVersion(t, b, id, "2")
	}
	for id, want := range map[string]string{"a": "version:a version", "b": "version:b", "c": "version:c"} {
		if got := strings.Join(b.versions.plan(id, false).replay, " "); got != want {
			t.Errorf("%s: replays %q, want %q", id, got, want)
		}
	}
}

func TestNoticesAreBounded(t *testing.T) {
	t.Parallel()
	n := newNotices(10, 100)
	for i := range 100 {
		n.put(fmt.Sprintf("%02d", i), &notice{seq: uint64(i + 1), version: Version{Version: "12345678"}})
		if len(n.byID) > 10 || n.bytes > 100 || n.order.Len() != len(n.byID) {
			t.Fatalf("%d notices with %d bytes", len(n.byID), n.bytes)
		}
	}
	if evicted := n.put("big", &notice{seq: 200, version: Version{Version: strings.Repeat("x", 101)}}); evicted != 200 || n.bytes != 0 {
		t.Errorf("one that is larger than the bound: evicted %d, %d bytes are left", evicted, n.bytes)
	}
	n.put("a", &notice{seq: 201})
	if n.put("a", nil); n.find("a") != nil || len(n.byID) != 0 || n.bytes != 0 {
		t.Error("a notice that was taken back is still there")
	}
}

func TestVersionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		version Version
		ok      bool
	}{
		{Version{Version: "1"}, true},
		{Version{strings.Repeat("x", maxVersionBytes), strings.Repeat("y", maxChangelogBytes)}, true},
		{Version{}, false},
		{Version{Version: strings.Repeat("x", maxVersionBytes+1)}, false},
		{Version{"1", strings.Repeat("y", maxChangelogBytes+1)}, false},
		{Version{Version: "\xff"}, false},
	} {
		if err := tc.version.check(); (err == nil) != tc.ok {
			t.Errorf("check(%.20q, %d bytes) = %v", tc.version.Version, len(tc.version.Changelog), err)
		}
	}
}

func TestPublishersWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { publishVersion(t, b, "", fmt.Sprint(i)) })
	}
	wg.Wait()
	log := b.gateway.sent("version")
	v, _ := b.versions.latest()
	if last := log[len(log)-1]; last != `version {"version":"`+v.Version+`"}` {
		t.Errorf("latest is %q, the log ends with %s", v.Version, last)
	}
}

func TestReceiversAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.gateway.topics["version:tab1"] = &wire.TopicInfo{Topic: "version:tab1", Streams: 3}
	if n, err := b.versions.publish(t.Context(), "tab1", Version{Version: "1"}); n != 3 || err != nil {
		t.Errorf("publish = %d, %v, want 3", n, err)
	}
}

func TestTheCurrentVersionIsKnownToABackendThatDidNotPublishIt(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		b := setup(t, func(o *Options) { o.Shared = shared })
		b.gateway.send(client.Message{Topic: "version", Event: &client.Event{Name: "version", Data: `{"version":"7"}`}})
		v, ok, err := b.versions.newest(t.Context())
		if v.Version != "7" || !ok || err != nil {
			t.Errorf("shared %v: newest = %v, %v, %v; want 7", shared, v, ok, err)
		}
	}
}

func TestASharedBackendLetsTheGatewaySayWhichNoticeIsTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Shared = true })
	publishVersion(t, b, "", "1")
	if plan := b.versions.plan("tab1", false); len(plan.replay) != 2 || len(plan.latest) != 0 {
		t.Errorf("plan = %+v, want both replayed: another backend may have published", plan)
	}
	b.gateway.send(client.Message{Topic: "version", Event: &client.Event{Name: "version", Data: `{"version":"2"}`}})
	if v, _, _ := b.versions.newest(t.Context()); v.Version != "2" {
		t.Errorf("newest = %v, want what another backend has published", v)
	}
}
