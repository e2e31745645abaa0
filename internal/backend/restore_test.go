package backend

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBE25AVersionThatTheGatewayHasLostIsPublishedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		publish  [][2]string // request id, version
		all, own []string    // what the topics have afterwards
	}{
		"to everybody":          {[][2]string{{"", "1"}}, []string{`version {"version":"1"}`}, nil},
		"to one":                {[][2]string{{"tab1", "1"}}, nil, []string{`version {"version":"1"}`}},
		"to one, the newer":     {[][2]string{{"", "1"}, {"tab1", "2"}}, []string{`version {"version":"1"}`}, []string{`version {"version":"2"}`}},
		"to everybody, as well": {[][2]string{{"tab1", "1"}, {"", "2"}}, []string{`version {"version":"2"}`}, nil},
		"to another":            {[][2]string{{"tab2", "1"}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, nil)
				b.run(t)
				for _, p := range c.publish {
					publishVersion(t, b, p[0], p[1])
				}
				b.gateway.lose()
				for _, token := range []string{"t1", "t2", "t3"} {
					wantOK(t, b.connect(token, versionURL))
				}
				synctest.Wait()
				wantOK(t, b.connect("t4", versionURL))
				synctest.Wait()
				if diff := cmp.Diff(c.all, b.gateway.sent("version")); diff != "" {
					t.Errorf("to everybody: %s", diff)
				}
				if diff := cmp.Diff(c.own, b.gateway.sent("version:tab1")); diff != "" {
					t.Errorf("to one: %s", diff)
				}
			})
		})
	}
}

func TestAVersionThatIsThereIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		publishVersion(t, b, "", "1")
		publishVersion(t, b, "tab1", "2")
		b.gateway.called()
		wantOK(t, b.connect("t1", versionURL))
		synctest.Wait()
		for _, call := range b.gateway.called() {
			if strings.Contains(call, "/internal/send") || strings.Contains(call, "/internal/topics/version") {
				t.Errorf("a connect made the call %q", call)
			}
		}
	})
}

func TestALostVersionIsPublishedAgainAlthoughTheGatewayIsAwayAtFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		var away atomic.Bool
		b.gateway.before = func(w http.ResponseWriter, r *http.Request) bool {
			if away.Load() && r.URL.Path == "/internal/send" {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return false
		}
		b.run(t)
		publishVersion(t, b, "", "1")
		b.gateway.lose()
		away.Store(true)
		wantOK(t, b.connect("t1", versionURL))
		time.Sleep(5 * time.Second)
		away.Store(false)
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff([]string{`version {"version":"1"}`}, b.gateway.sent("version")); diff != "" {
			t.Error(diff)
		}
	})
}
