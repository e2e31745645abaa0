package wire_test

import (
	"net/url"
	"strings"
	"testing"

	"tidegate/internal/wire"
)

func TestMaskAccess(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/x":                        "/x",
		"/x?a=1&access=s&b=2":       "/x?a=1&access=***&b=2",
		"/x?ACCESS=s&%61ccess=s":    "/x?ACCESS=***&%61ccess=***",
		"/x?access=&accessor=s":     "/x?access=&accessor=s",
		"/access=s":                 "/access=s",
		"/x?access=s#access=t":      "/x?access=***",
		"/x?access=s?access=t":      "/x?access=***",
		"/x?a=%zz&access=s&access=": "/x?a=%zz&access=***&access=",
	} {
		if got := wire.MaskAccess(target); got != want {
			t.Errorf("MaskAccess(%q) = %q, want %q", target, got, want)
		}
	}
}

// FuzzMaskAccess: no value that a parser finds as access is left, and nothing
// else is changed.
func FuzzMaskAccess(f *testing.F) {
	f.Add("/api/sse/tasks?task_id=1&access=abc")
	f.Add("?%41ccess=a&access=b;access=c&&=")
	f.Fuzz(func(t *testing.T, target string) {
		got := wire.MaskAccess(target)
		_, before, _ := strings.Cut(target, "?")
		_, after, _ := strings.Cut(got, "?")
		was, _ := url.ParseQuery(before)
		is, _ := url.ParseQuery(after)
		for key, values := range was {
			for i, value := range values {
				want := value
				if strings.EqualFold(key, wire.AccessParameter) && value != "" {
					want = wire.Masked
				}
				if len(is[key]) <= i || is[key][i] != want {
					t.Fatalf("%q became %q: %s is %q, want %q", target, got, key, is[key], want)
				}
			}
		}
	})
}
