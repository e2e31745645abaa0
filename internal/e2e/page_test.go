package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// TestPage uses the page as a person would: one browser, a server for each test.
func TestPage(t *testing.T) {
	t.Parallel()
	setup := pageSetup{bin: binary, browser: startChromium(t)}
	for name, test := range map[string]func(*testing.T, pageSetup){
		"ChecksumsAreShown":                   testChecksumsAreShown,
		"ReloadShowsEachEventOnce":            testReloadShowsEachEventOnce,
		"CutStreamIsResumed":                  testCutStreamIsResumed,
		"TabsShareATask":                      testTabsShareATask,
		"FinishedTaskIsShownWhole":            testFinishedTaskIsShownWhole,
		"CancelEndsTheTask":                   testCancelEndsTheTask,
		"FailureIsShownAsText":                testFailureIsShownAsText,
		"BE16UnknownTaskIsSaidOnce":           testUnknownTaskIsSaidOnce,
		"RefusedIdIsAnUnknownTask":            testRefusedIDIsAnUnknownTask,
		"NewVersionIsAnnounced":               testNewVersionIsAnnounced,
		"LogIsBounded":                        testLogIsBounded,
		"LostHistoryIsSaid":                   testLostHistoryIsSaid,
		"LargeResultIsFetched":                testLargeResultIsFetched,
		"APageReadsWhatItHasStarted":          testAPageReadsWhatItHasStarted,
		"RestartedServerIsFoundAgain":         testRestartedServerIsFoundAgain,
		"RefusedStreamIsTriedAgain":           testRefusedStreamIsTriedAgain,
		"RefusedTaskIsExplained":              testRefusedTaskIsExplained,
		"HiddenTabGivesItsConnectionBack":     testHiddenTabGivesItsConnectionBack,
		"UnknownProgressIsShownIndeterminate": testUnknownProgressIsShownIndeterminate,
		"X49CannotBeReachedIsTakenBack":       testX49CannotBeReachedIsTakenBack,
		"X49RecentShowsTheShare":              testX49RecentShowsTheShare,
		"X49AFileAsPathIsExplained":           testX49AFileAsPathIsExplained,
		"X49CancelOfAnothersTaskSaysSo":       testX49CancelOfAnothersTaskSaysSo,
		"X49LandmarksAreDistinct":             testX49LandmarksAreDistinct,
		"X49TheSeventhTab":                    testX49TheSeventhTab,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup)
		})
	}
}

type pageSetup struct {
	bin     string
	browser context.Context
}

func (p pageSetup) serve(t *testing.T, args ...string) *pageServer {
	t.Helper()
	return startPageServer(t, p.bin, args...)
}

func (p pageSetup) open(t *testing.T, url string, expected ...string) *pageTab {
	t.Helper()
	return openPageTab(t, p.browser, url, expected...)
}

// endlessDemo are the parameters of a demo task that runs until it is cancelled.
func endlessDemo() jsonObject { return jsonObject{"steps": 1_000_000, "delay": 0.02} }

// demoHistory is what the log shows of a demo task.
func demoHistory(done, steps int, end ...logRow) []logRow {
	rows := []logRow{{"task_started", "The task has started"}, {"progress_update", "Starting test task"}}
	for i := range done {
		rows = append(rows, logRow{"progress_update", fmt.Sprintf("Step %d/%d", i+1, steps)})
	}
	return append(rows, end...)
}

var cancelledEnd = []logRow{
	{"task_cancelled", "The task was cancelled"},
	{"connection_close", "The stream ends: task_cancelled"},
}

// checkCancelled checks that the log has every event of an endless task that was
// cancelled, once and in order.
func checkCancelled(t *testing.T, tb *pageTab) {
	t.Helper()
	tb.waitState("Cancelled")
	tb.waitEnded()
	got := tb.rows()
	want := demoHistory(max(0, len(got)-4), 1_000_000, cancelledEnd...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if count := tb.text("count"); count != fmt.Sprint(len(got)) {
		t.Errorf("%s events are counted, want %d", count, len(got))
	}
}

func testChecksumsAreShown(t *testing.T, p pageSetup) {
	dir := t.TempDir()
	want := [][3]string{}
	for _, name := range []string{"a.txt", "b/<b>bold</b>.bin", "b/c/empty"} {
		content := []byte(strings.Repeat(name, len(name)*4))
		if strings.HasSuffix(name, "empty") {
			content = nil
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		want = append(want, [3]string{name, fmt.Sprint(len(content)), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(want, func(a, b [3]string) int { return strings.Compare(a[0], b[0]) })
	s := p.serve(t, "--checksum-root", dir)

	tb := p.open(t, s.public+"/")
	// By keyboard alone: the form is sent with Enter.
	tb.do("start", chromedp.SendKeys(chromedp.CSS(`[name="path"]`), kb.Enter))
	tb.waitState("Completed")
	tb.waitEnded()
	table := valueOf[[][3]string](tb, `[...document.querySelectorAll("#result tbody tr")].map(
		(tr) => [...tr.cells].map((td) => td.textContent.replace(",", "")))`)
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("the table of checksums (-want +got):\n%s", diff)
	}
	if got := tb.text("percent"); got != "100 %" {
		t.Errorf("the page shows %q of a finished task, want 100 %%", got)
	}
	id := valueOf[string](tb, `new URLSearchParams(location.search).get("task")`)
	if id == "" || tb.text("id") != id {
		t.Errorf("the address names task %q, the page %q", id, tb.text("id"))
	}
	var download struct{ Result struct{ Files []jsonObject } }
	s.ask(t, "GET", valueOf[string](tb, `document.getElementById("download").href`), nil, &download)
	if got := len(download.Result.Files); got != len(want) {
		t.Errorf("the download has %d files, want %d", got, len(want))
	}
}

func testReloadShowsEachEventOnce(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id)
	tb.waitRows(5)
	tb.do("reload", chromedp.Reload())
	tb.waitRows(5)
	if got := tb.text("state"); got != "Running" {
		t.Errorf("after the reload the state is %q", got)
	}
	s.cancelTask(t, id)
	checkCancelled(t, tb)
}

// Nobody reloads: the browser comes back by itself and goes on where it was.
func testCutStreamIsResumed(t *testing.T, p pageSetup) {
	s := p.serve(t, "--retry", "20ms")
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id)
	for cut := range 3 {
		tb.wait(fmt.Sprintf(`opened === %d`, cut+1))
		tb.waitRows(len(tb.rows()) + 5)
		streams := s.streams(t)
		if len(streams) != 1 {
			t.Fatalf("the page has %d streams, want 1", len(streams))
		}
		s.cutStream(t, streams[0].Token)
	}
	tb.wait(`opened === 4`)
	s.cancelTask(t, id)
	checkCancelled(t, tb)
	if opened := valueOf[int](tb, `sources.length`); opened != 2 {
		t.Errorf("the page made %d EventSources, want one for the task and one after its end", opened)
	}
}

func testTabsShareATask(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", endlessDemo())
	one := p.open(t, s.public+"/?task="+id)
	one.waitRows(3)
	two := one.another(s.public + "/?task=" + id)
	two.waitRows(3)
	s.cancelTask(t, id)
	checkCancelled(t, one)
	checkCancelled(t, two)
	if diff := cmp.Diff(one.rows(), two.rows()); diff != "" {
		t.Errorf("two tabs show different things:\n%s", diff)
	}
}

func testFinishedTaskIsShownWhole(t *testing.T, p pageSetup) {
	s := p.serve(t)
	tb := p.open(t, s.public+"/")
	tb.do("start", chromedp.Click(chromedp.CSS(`.types label:nth-of-type(2)`)),
		chromedp.SetValue(chromedp.CSS(`[data-for="demo_task"] [name="delay"]`), "0"),
		chromedp.SetValue(chromedp.CSS(`[name="message"]`), "<i>Grüße</i>"),
		chromedp.SetValue(chromedp.CSS(`[name="steps"]`), "4"),
		chromedp.Click(chromedp.ID("submit")))
	tb.waitEnded()
	check := func(when string) {
		t.Helper()
		tb.waitState("Completed")
		tb.waitEnded()
		const result = `{"message":"<i>Grüße</i>","steps_completed":4,"status":"success"}`
		want := demoHistory(4, 4, logRow{"task_completed", result}, logRow{"connection_close", "The stream ends: task_completed"})
		if diff := cmp.Diff(want, tb.rows()); diff != "" {
			t.Errorf("%s the log is (-want +got):\n%s", when, diff)
		}
		if shown := valueOf[string](tb, `JSON.stringify(JSON.parse(document.querySelector("#result pre").textContent))`); shown != result {
			t.Errorf("%s the result is %s", when, shown)
		}
		tb.wait(`document.getElementById("title").innerText === "demo_task"`) // no event says it
	}
	check("at first")
	tb.do("go away", chromedp.Navigate(s.public+"/"))
	tb.wait(`document.getElementById("nothing").innerText.includes("No task chosen")`)
	tb.wait(`document.querySelectorAll("#recent a").length === 1`)
	tb.do("choose it from the list", chromedp.Click(chromedp.CSS(`#recent a`)))
	check("from the list")
	tb.do("go back", chromedp.Evaluate[chromedp.Void](`history.back()`))
	tb.wait(`document.getElementById("watched").hidden`)
	tb.do("go forward", chromedp.Evaluate[chromedp.Void](`history.forward()`))
	check("after going forward")
	tb.do("reload", chromedp.Reload())
	check("after a reload")
}

func testCancelEndsTheTask(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id)
	tb.waitRows(3)
	tb.do("cancel", chromedp.Click(chromedp.ID("cancel")))
	checkCancelled(t, tb)
	if visible := valueOf[bool](tb, `document.getElementById("cancel").checkVisibility()`); visible {
		t.Error("a cancelled task can be cancelled again")
	}
	tb.wait(`document.querySelector("#recent a").dataset.state === "cancelled"`)
}

func testFailureIsShownAsText(t *testing.T, p pageSetup) {
	s := p.serve(t)
	const message = `<img src=x onerror="document.title='broken'"> & no more`
	tb := p.open(t, s.public+"/")
	tb.do("start", chromedp.Click(chromedp.CSS(`.types label:nth-of-type(3)`)),
		chromedp.SetValue(chromedp.CSS(`[name="error_message"]`), message),
		chromedp.SetValue(chromedp.CSS(`[data-for="failing_task"] [name="delay"]`), "0"),
		chromedp.Click(chromedp.ID("submit")))
	tb.waitState("Failed")
	tb.waitEnded()
	if got := tb.text("problem"); got != message {
		t.Errorf("the page shows the error %q, want %q", got, message)
	}
	if images := valueOf[int](tb, `document.querySelectorAll("main img").length`); images != 0 {
		t.Error("the error became HTML")
	}
}

// A server's event "error" is not the browser's: the page says what it says,
// and does not come back to ask again.
func testUnknownTaskIsSaidOnce(t *testing.T, p pageSetup) {
	s := p.serve(t, "--retry", "10ms")
	tb := p.open(t, s.public+"/?task=nonsense")
	tb.waitState("Not found")
	tb.waitEnded()
	want := []logRow{{"error", "Task not found"}}
	if diff := cmp.Diff(want, tb.rows()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	tb.wait(`sources.length === 2 && sources[0].readyState === EventSource.CLOSED && sources[1].readyState === EventSource.OPEN`)
	second := s.streams(t)[0].Token
	// A browser that came back would have done so by the time of the second notice.
	for _, version := range []string{"1", "2"} {
		if receivers := s.publishVersion(t, version, ""); receivers != 1 {
			t.Errorf("%d streams wait for versions, want 1", receivers)
		}
	}
	tb.wait(`document.getElementById("update").checkVisibility()`)
	if streams := s.streams(t); len(streams) != 1 || streams[0].Token != second {
		t.Errorf("open streams are %+v, want the second that was ever opened", streams)
	}
}

func testRefusedIDIsAnUnknownTask(t *testing.T, p pageSetup) {
	s := p.serve(t)
	tb := p.open(t, s.public+"/?task=a:b", "status of 40") // the browser itself writes these down
	tb.waitState("Not found")
	tb.wait(`sources.length === 2 && sources[1].readyState === EventSource.OPEN`)
}

func testNewVersionIsAnnounced(t *testing.T, p pageSetup) {
	s := p.serve(t)
	s.publishVersion(t, "1.0", "")
	tb := p.open(t, s.public+"/")
	tb.wait(`document.getElementById("version").innerText === "Version 1.0"`)
	if shown := valueOf[bool](tb, `document.getElementById("update").checkVisibility()`); shown {
		t.Error("the version of the page is announced as a new one")
	}
	if receivers := s.publishVersion(t, "1.1", "<u>Faster</u>"); receivers != 1 {
		t.Errorf("the page has %d streams, want 1", receivers)
	}
	tb.wait(`document.getElementById("update").checkVisibility()`)
	if got, want := tb.text("update"), "A new version, 1.1, is available. <u>Faster</u>"; !strings.Contains(got, want) {
		t.Errorf("the notice is %q, want %q in it", got, want)
	}
	tb.loads("reload", chromedp.Click(chromedp.ID("update-reload")))
	tb.wait(`document.getElementById("version").innerText === "Version 1.1"`)
	if shown := valueOf[bool](tb, `document.getElementById("update").checkVisibility()`); shown {
		t.Error("the notice is there after the reload")
	}
}

func testLogIsBounded(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", jsonObject{"steps": 5000, "delay": 0})
	tb := p.open(t, s.public+"/?task="+id)
	tb.waitEnded()
	tb.wait(`document.getElementById("count").innerText === "5,004"`)
	rows := tb.rows()
	if len(rows) != 2000 || rows[0] != (logRow{"progress_update", "Step 3003/5000"}) {
		t.Errorf("the log has %d rows and begins with %q, want the newest 2000", len(rows), rows[:min(1, len(rows))])
	}
	if note := tb.text("hidden-events"); !strings.Contains(note, "3,004 before them are not") {
		t.Errorf("of the others the page says %q", note)
	}
}

func testLostHistoryIsSaid(t *testing.T, p pageSetup) {
	s := p.serve(t, "--namespace", "task=events:10")
	id := s.startTask(t, "demo_task", jsonObject{"steps": 50, "delay": 0})
	s.followTask(t, id)
	tb := p.open(t, s.public+"/?task="+id)
	tb.waitState("Completed")
	tb.waitEnded()
	want := []logRow{{"reset", "The server no longer has the first events of this task; the list begins anew"}}
	want = append(want, demoHistory(50, 50)[44:]...)
	got := tb.rows()
	if len(got) != 11 {
		t.Fatalf("the log has %d rows, want the reset and 10 more: %q", len(got), got)
	}
	if diff := cmp.Diff(want, got[:9]); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if notice := tb.text("notice"); !strings.Contains(notice, "no longer has the first events") {
		t.Errorf("the notice is %q", notice)
	}
	// What the lost events said is asked for.
	tb.wait(`document.getElementById("title").innerText === "demo_task" && document.getElementById("elapsed").innerText !== ""`)
}

func testLargeResultIsFetched(t *testing.T, p pageSetup) {
	s := p.serve(t)
	message := strings.Repeat("0123456789", 95_000)
	id := s.startTask(t, "demo_task", jsonObject{"steps": 0, "message": message})
	tb := p.open(t, s.public+"/?task="+id)
	tb.waitState("Completed")
	tb.wait(`document.querySelector("#result pre")?.textContent.includes("0123456789")`)
	if got := tb.rows(); len(got) < 3 || got[2] != (logRow{"task_completed", "The result has 950 kB"}) {
		t.Errorf("the log is %.500q", got)
	}
	if length := valueOf[int](tb, `document.querySelector("#result pre").textContent.length`); length > 50_001 {
		t.Errorf("the page shows %d characters of the result, want 50,000", length)
	}
	if text := tb.text("result-body"); !strings.HasSuffix(text, "The rest is in the download.") {
		t.Error("the page does not say that there is more")
	}
}

func testRestartedServerIsFoundAgain(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id, "net::ERR_")
	tb.waitRows(3)
	s.kill()
	tb.wait(`document.getElementById("link").innerText === "Reconnecting"`)
	tb.wait(`document.getElementById("notice").innerText.includes("The connection is lost")`)
	s.restart(t)
	// The task went with the process.
	tb.waitState("Not found")
	tb.waitEnded()
	if got := tb.rows(); got[len(got)-1] != (logRow{"error", "Task not found"}) {
		t.Errorf("the log is %q, want it to end with an error", got)
	}
}

// A browser gives up for good when the answer is no stream, so the page must not;
// and it must go on where it was, which a new EventSource does not do by itself.
func testRefusedStreamIsTriedAgain(t *testing.T, p pageSetup) {
	s := p.serve(t, "--max-connections", "1", "--retry", "6s", "--retryable-rejections=false") // time to take the only place
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id, "status of 503")
	tb.waitRows(3)
	s.cutStream(t, s.streams(t)[0].Token)
	tb.wait(`sources[0].readyState === EventSource.CONNECTING`)
	leave := s.holdStream(t)
	tb.wait(`sources[0].readyState === EventSource.CLOSED`)
	tb.wait(`document.getElementById("link").innerText === "Reconnecting"`)
	rows := len(tb.rows())
	leave()
	tb.waitRows(rows + 5)
	s.cancelTask(t, id)
	checkCancelled(t, tb)
	if resumed := valueOf[bool](tb, `sources.some((source) => source.url.includes("lastEventId="))`); !resumed {
		t.Error("the page began anew, want it to go on after the last event")
	}
}

func testRefusedTaskIsExplained(t *testing.T, p pageSetup) {
	s := p.serve(t)
	tb := p.open(t, s.public+"/", "status of 400")
	tb.do("start", chromedp.SetValue(chromedp.CSS(`[name="path"]`), "../elsewhere"),
		chromedp.Click(chromedp.ID("submit")))
	tb.wait(`document.getElementById("form-problem").innerText.includes("path")`)
	if search := valueOf[string](tb, `location.search`); search != "" {
		t.Errorf("the address names a task that was never started: %s", search)
	}
	tb.do("choose another type", chromedp.Click(chromedp.CSS(`.types label:nth-of-type(2)`)))
	tb.wait(`!document.getElementById("form-problem").checkVisibility()`)
}

// Browsers allow six connections to a server: a tab that nobody sees and that
// waits for no task must not hold one.
func testHiddenTabGivesItsConnectionBack(t *testing.T, p pageSetup) {
	s := p.serve(t)
	tb := p.open(t, s.public+"/")
	tb.wait(`sources.length === 1 && sources[0].readyState === EventSource.OPEN`)
	look := func(hidden bool) {
		tb.do("change visibility", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
			`Object.defineProperty(document, "hidden", {value: %t, configurable: true});
			document.dispatchEvent(new Event("visibilitychange"))`, hidden)))
	}
	look(true)
	tb.wait(`sources.length === 1 && sources[0].readyState === EventSource.CLOSED`)
	s.publishVersion(t, "1.0", "")
	look(false)
	tb.wait(`document.getElementById("version").innerText === "Version 1.0"`)
	if opened := valueOf[int](tb, `sources.length`); opened != 2 {
		t.Errorf("the page made %d EventSources, want 2", opened)
	}
}

func testUnknownProgressIsShownIndeterminate(t *testing.T, p pageSetup) {
	s := p.serve(t, "--task-workers", "1")
	first := s.startTask(t, "demo_task", endlessDemo())
	waiting := s.startTask(t, "demo_task", jsonObject{"steps": 1, "delay": 0})
	tb := p.open(t, s.public+"/?task="+waiting)
	tb.wait(`document.getElementById("link").innerText === "Live"`)
	if got := valueOf[float64](tb, `document.getElementById("bar").position`); got != -1 {
		t.Errorf("the bar of a task that has not begun is at %v, want indeterminate", got)
	}
	if got := tb.text("state"); got != "Waiting" {
		t.Errorf("its state is %q, want Waiting", got)
	}
	s.cancelTask(t, first)
	tb.waitState("Completed")
	if got := valueOf[float64](tb, `document.getElementById("bar").position`); got != 1 {
		t.Errorf("the bar of a finished task is at %v, want 1", got)
	}
}
