package express

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestARequestMakesNoGarbage(t *testing.T) {
	text := []byte(plain(`{"token":"t"}`, "Authorization: Bearer x"))
	var a answer
	kind := []string{"application/json"}
	if n := testing.AllocsPerRun(1000, func() {
		r, s := parse(text, testLine, testMax)
		if s != complete {
			t.Fatal("not taken")
		}
		a.reset()
		a.Header()["Content-Type"] = kind
		_, _ = a.Write(r.body)
		_ = a.render()
	}); n > 0 {
		t.Errorf("%v allocations for a request, want none", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	kind := []string{"application/json"}
	for name, text := range map[string]string{
		"express":  plain(`{"token":"t"}`),
		"net_http": plain(`{"token":"t"}`, "X_Unusual: 1"),
	} {
		b.Run(name, func(b *testing.B) {
			c := start(b, func(w http.ResponseWriter, _, body []byte) {
				w.Header()["Content-Type"] = kind
				_, _ = w.Write(body)
			}, Options{}).dial(b)
			_ = c.SetDeadline(time.Time{})
			c.send(text)
			first := make([]byte, 4096)
			if n, err := c.Read(first); err != nil || !strings.HasSuffix(string(first[:n]), "}") {
				b.Fatalf("answer %q, %v", first[:n], err)
			}
			out := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(out); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAtLeast(c, first, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}
