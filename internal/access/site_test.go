package access_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/internal/access"
)

func TestX02RequestsOfOtherSites(t *testing.T) {
	t.Parallel()
	sites := access.Sites{
		Origins: []string{"https://friend.example", "*"}, // * is for streams, which change nothing
		Trusted: func(r *http.Request) bool { return r.Header.Get("X-Test-Trusted") != "" },
	}
	type header map[string][]string
	for name, c := range map[string]struct {
		h    header
		want bool
	}{
		"no browser":             {header{}, true},
		"same origin":            {header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://x"}}, true},
		"typed":                  {header{"Sec-Fetch-Site": {"none"}}, true},
		"same site":              {header{"Sec-Fetch-Site": {"same-site"}}, false},
		"cross site":             {header{"Sec-Fetch-Site": {"cross-site"}}, false},
		"cross site, own Origin": {header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://own.test:8080"}}, false},
		"unknown word":           {header{"Sec-Fetch-Site": {"Same-Origin"}}, false},
		"empty word":             {header{"Sec-Fetch-Site": {""}}, false},
		"two words":              {header{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, false},
		"own Origin":             {header{"Origin": {"http://own.test:8080"}}, true},
		"own Origin, TLS ended":  {header{"Origin": {"https://OWN.test:8080"}}, true},
		"other port":             {header{"Origin": {"http://own.test:9090"}}, false},
		"default port":           {header{"Origin": {"http://own.test"}}, false},
		"other host":             {header{"Origin": {"http://evil.example"}}, false},
		"subdomain":              {header{"Origin": {"http://a.own.test:8080"}}, false},
		"null":                   {header{"Origin": {"null"}}, false},
		"empty":                  {header{"Origin": {""}}, false},
		"no origin":              {header{"Origin": {"own.test:8080"}}, false},
		"extension":              {header{"Origin": {"chrome-extension://own.test:8080"}}, false},
		"two origins":            {header{"Origin": {"http://own.test:8080", "http://evil.example"}}, false},
		"allowed":                {header{"Origin": {"https://friend.example"}, "Sec-Fetch-Site": {"cross-site"}}, true},
		"allowed, in capitals":   {header{"Origin": {"https://FRIEND.example"}}, true},
		"allowed, other scheme":  {header{"Origin": {"http://friend.example"}}, false},
		"allowed and another":    {header{"Origin": {"https://friend.example", "http://evil.example"}}, false},
		"star as origin":         {header{"Origin": {"http://*"}}, false},
		"forwarded, trusted":     {header{"Origin": {"https://app.example"}, "X-Forwarded-Host": {"app.example"}, "X-Test-Trusted": {"1"}}, true},
		"forwarded, port":        {header{"Origin": {"https://app.example"}, "X-Forwarded-Host": {"app.example:443"}, "X-Test-Trusted": {"1"}}, true},
		"forwarded by others":    {header{"Origin": {"https://app.example"}, "X-Forwarded-Host": {"app.example"}}, false},
		"forwarded, forged":      {header{"Origin": {"https://evil.example"}, "X-Forwarded-Host": {"evil.example, app.example"}, "X-Test-Trusted": {"1"}}, false},
		"forwarded, last":        {header{"Origin": {"https://app.example"}, "X-Forwarded-Host": {"inner.example, app.example"}, "X-Test-Trusted": {"1"}}, true},
	} {
		r := httptest.NewRequest("GET", "http://own.test:8080/api/tasks", nil)
		r.Header = http.Header(c.h)
		if got := sites.Allows(r); got != c.want {
			t.Errorf("%s: allowed is %v, want %v", name, got, c.want)
		}
	}
}

func TestX02NullIsRefusedWithoutHost(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/internal/send", nil)
	r.Host = ""
	r.Header.Set("Origin", "null")
	if (&access.Sites{}).Allows(r) {
		t.Error("Origin: null passes where there is no Host")
	}
}

// FuzzOrigin holds that an Origin passes only if the Host is in it.
func FuzzOrigin(f *testing.F) {
	for _, origin := range []string{"http://own.test", "https://own.test:443", "null", "", "http://own.test@evil.example", "http://evil.example#own.test", "//own.test", "HTTP://OWN.test"} {
		f.Add(origin, "own.test")
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Host, r.Header["Origin"] = host, []string{origin}
		if !(&access.Sites{}).Allows(r) {
			return
		}
		bare := strings.ToLower(host)
		for _, port := range []string{":80", ":443"} {
			bare = strings.TrimSuffix(bare, port)
		}
		if _, rest, ok := strings.Cut(strings.ToLower(origin), "://"); !ok || bare == "" || !strings.Contains(rest, bare) || strings.Contains(rest, "null") && host == "" {
			t.Errorf("Origin %q passes at Host %q", origin, host)
		}
	})
}
