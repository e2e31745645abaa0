package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// testAPageReadsWhatItHasStarted where tasks are read with access tokens: in its
// tab, after a reload too, and in no other.
func testAPageReadsWhatItHasStarted(t *testing.T, p pageSetup) {
	s := p.serve(t, "--task-access", "token", "--checksum-root", t.TempDir())
	tb := p.open(t, s.public+"/", "status of 401") // of the list, and of the status before the token is shown
	tb.do("start", chromedp.SendKeys(chromedp.CSS(`[name="path"]`), kb.Enter))
	tb.waitState("Completed")
	tb.waitEnded()
	tb.wait(`document.getElementById("result").checkVisibility()`)
	tb.loads("reload", chromedp.Reload())
	tb.waitState("Completed")
	tb.waitEnded()
	status := valueOf[int](tb, `(() => { const r = new XMLHttpRequest(); r.open("GET", document.getElementById("download").href, false); r.send(); return r.status })()`)
	if status != 200 {
		t.Errorf("the download is answered %d", status)
	}
	id := valueOf[string](tb, `new URLSearchParams(location.search).get("task")`)
	other := p.open(t, fmt.Sprintf("%s/?task=%s", s.public, id), "status of 401")
	other.waitState("Not found")
	other.wait(`document.getElementById("problem").innerText.includes("whoever has started it")`)
}
