package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// A browser behind nginx: HTTP/2, events, and a restart that the page does not
// notice.
func TestX29BrowserBehindNginxComesBackAfterARestart(t *testing.T) {
	t.Parallel()
	nginx := proxies[0]
	cert, listen, upstream, data := newCertificate(t), freeAddress(t), freeAddress(t), t.TempDir()
	nginx.run(t, listen, nginx.recipe(t, t.TempDir(), listen, upstream, cert))
	p := serveAt(t, upstream, data)
	tb := openPageTab(t, startChromium(t, chromedp.IgnoreCertErrors), "https://"+listen+"/healthz", "net::ERR_", "favicon.ico")
	valueOf[bool](tb, `window.seen = [], new EventSource("`+versionPath+`")
		.addEventListener("version", e => seen.push(JSON.parse(e.data).version)), true`)
	tb.wait(`opened == 1`)
	version(t, p.public, "1")
	tb.wait(`seen.join() == "1"`)
	p.stop()
	tb.wait(`opened > 2`) // empty streams that say when to come again
	p = serveAt(t, upstream, data)
	version(t, p.public, "2")
	tb.wait(`seen.join() == "1,2"`)
	if got := valueOf[string](tb, `performance.getEntriesByType("navigation")[0].nextHopProtocol`); got != "h2" {
		t.Errorf("the browser speaks %s, want h2", got)
	}
	if got := valueOf[int](tb, `sources[0].readyState`); got == 2 {
		t.Error("EventSource is closed for good")
	}
}
