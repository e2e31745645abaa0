package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// pagePatience is how long a tab waits for a condition. It is long because a
// machine that runs many tests at once is slow, and costs nothing otherwise.
const pagePatience = 90 * time.Second

// startChromium starts one headless browser, which ends with the test. The
// profile is fresh and is removed. More options may be given.
func startChromium(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the tests of the page need Chromium: run ./test, which installs it, or `apt-get install chromium`")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-US")) // how numbers are written
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser
}

// pageTab is one tab of the browser. It belongs to the goroutine of its test.
type pageTab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	messages []string // errors in the console
}

// countEventSources keeps what a page opens in window.sources, and counts in
// window.opened how often one of them was connected.
const countEventSources = `window.sources = [];
window.opened = 0;
window.EventSource = class extends EventSource {
	constructor(...args) {
		super(...args);
		window.sources.push(this);
		this.addEventListener("open", () => window.opened++);
	}
};`

// openPageTab opens a tab. At the end of the test its console must have no errors
// but those that contain one of the expected texts.
func openPageTab(t *testing.T, browser context.Context, url string, expected ...string) *pageTab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	tb := &pageTab{t: t, ctx: ctx}
	console := chromedp.Console(ctx)
	last := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { tb.readConsole(console, last) })
	t.Cleanup(func() {
		tb.checkConsole(last, expected)
		cancel()
		reading.Wait()
	})
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: countEventSources}); err != nil {
		t.Fatal(err)
	}
	tb.do("open the page", chromedp.Navigate(url))
	return tb
}

// another opens a second tab of the same session.
func (tb *pageTab) another(url string) *pageTab {
	tb.t.Helper()
	return openPageTab(tb.t, tb.ctx, url)
}

const endOfConsole = "the test is over"

func (tb *pageTab) readConsole(console func(func(chromedp.ConsoleMessage, error) bool), last chan<- struct{}) {
	for m, err := range console {
		switch {
		case err != nil:
			return
		case m.Text == endOfConsole:
			close(last)
			return
		case m.Type == chromedp.ConsoleError || m.IsException():
			tb.mu.Lock()
			tb.messages = append(tb.messages, fmt.Sprintf("%s %s:%d", m.Text, m.URL, m.Line))
			tb.mu.Unlock()
		}
	}
}

// checkConsole waits until all that was written to the console has been read.
func (tb *pageTab) checkConsole(last <-chan struct{}, expected []string) {
	ctx, cancel := context.WithTimeout(tb.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`console.log("`+endOfConsole+`")`)); err != nil {
		tb.t.Errorf("read the console: %v", err)
		return
	}
	select {
	case <-last:
	case <-ctx.Done():
		tb.t.Error("the console never showed the last message")
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, message := range tb.messages {
		if !containsAny(message, expected) {
			tb.t.Errorf("error in the console: %s", message)
		}
	}
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// do runs actions, each of which ends by itself, and fails the test if one does not.
func (tb *pageTab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		tb.t.Fatalf("%s: %v\n%s", what, err, tb.state())
	}
}

// loads runs an action and waits until the page that it leads to is loaded.
func (tb *pageTab) loads(what string, action chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, pagePatience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.WaitEvent(page.LoadEventFired, nil, action)); err != nil {
		tb.t.Fatalf("%s: %v\n%s", what, err, tb.state())
	}
}

// wait waits until a JavaScript expression is true in the page.
func (tb *pageTab) wait(expression string) {
	tb.t.Helper()
	_, err := chromedp.Run(tb.ctx, chromedp.Poll[chromedp.Void](`Boolean(`+expression+`)`,
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(pagePatience)))
	if err != nil {
		tb.t.Fatalf("wait for %s: %v\n%s", expression, err, tb.state())
	}
}

// state is what a person would see, for messages of failed tests.
func (tb *pageTab) state() string {
	ctx, cancel := context.WithTimeout(tb.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 3000)`))
	if err != nil {
		return fmt.Sprintf("(the page does not answer: %v)", err)
	}
	return text
}

// valueOf returns the value of a JavaScript expression.
func valueOf[T any](tb *pageTab, expression string) T {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, pagePatience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tb.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// text is the text that an element shows; "" if it is hidden.
func (tb *pageTab) text(id string) string {
	tb.t.Helper()
	return valueOf[string](tb, fmt.Sprintf(`document.getElementById(%q).innerText`, id))
}

// waitState waits until the watched task is in a state, as the page names it.
func (tb *pageTab) waitState(name string) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`document.getElementById("state").innerText === %q`, name))
}

// waitEnded waits until the page has the last event of the watched task.
func (tb *pageTab) waitEnded() {
	tb.t.Helper()
	tb.wait(`document.getElementById("link").innerText === "Ended"`)
}

// waitRows waits until the log of events has n rows.
func (tb *pageTab) waitRows(n int) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`document.querySelectorAll("#log li").length >= %d`, n))
}

// logRow is one row of the log of events: type and text.
type logRow [2]string

func (tb *pageTab) rows() []logRow {
	tb.t.Helper()
	return valueOf[[]logRow](tb, `[...document.querySelectorAll("#log li")].map(
		(li) => [li.dataset.type, li.querySelector(".text").textContent])`)
}
