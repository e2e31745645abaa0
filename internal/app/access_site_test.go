package app_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestX02OtherSitesAreRefusedOnEveryListener(t *testing.T) {
	t.Parallel()
	for _, secret := range []bool{false, true} {
		var args, known []string
		if secret {
			args = []string{"--internal-secret", aSecret}
			known = []string{"Authorization: Bearer " + aSecret}
		}
		for name, p := range places(t, args...) {
			t.Run(fmt.Sprint(name, " secret ", secret), func(t *testing.T) {
				t.Parallel()
				var all []wanted
				for _, w := range p.all {
					if !strings.HasPrefix(w.target, "/api/sse/tasks") && (strings.HasPrefix(w.target, "/api/") || !strings.HasPrefix(name, "serve") || strings.Contains(name, "internal")) {
						all = append(all, w.with("Host: localhost:8080").with(known...))
					}
				}
				for _, h := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null", "Origin: http://localhost:8081",
					"sec-fetch-SITE: cross-site\r\nOrigin: http://localhost:8080"} {
					wantRefused(t, p.base, all, 403, "CROSS_SITE", h)
				}
				for _, h := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: http://localhost:8080", "Origin: https://LOCALHOST:8080", "X-None: 1"} {
					wantLet(t, p.base, all, h)
				}
			})
		}
	}
}

func TestX02AllowedOriginsMayUseTheAPIAndNothingElse(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--cors-origin", "https://friend.example", "--cors-origin", "*")
	wantLet(t, p.Public, publicRequests, "Host: localhost", "Origin: https://friend.example", "Sec-Fetch-Site: cross-site")
	wantRefused(t, p.Public, publicRequests, 403, "CROSS_SITE", "Host: localhost", "Origin: https://other.example", "Sec-Fetch-Site: cross-site")
	wantRefused(t, p.Internal, internalRequests, 403, "CROSS_SITE", "Host: localhost", "Origin: https://friend.example")
	if got := callAs(t, p.Public, wanted{target: "/api/sse/tasks?task_id=a", method: "GET", header: []string{"Host: localhost", "Origin: https://other.example", "Sec-Fetch-Site: cross-site"}}); got.status != 200 {
		t.Errorf("opening a stream: %d %s", got.status, got.body)
	}
}
