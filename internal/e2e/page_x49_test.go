package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// shows waits until an element shows a text.
func (tb *pageTab) shows(id, part string) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`document.getElementById(%q).checkVisibility() && document.getElementById(%q).innerText.includes(%q)`, id, id, part))
}

// look hides or shows a tab, as the page learns of it.
func (tb *pageTab) look(hidden bool) {
	tb.t.Helper()
	tb.do("change visibility", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`Object.defineProperty(document, "hidden", {value: %t, configurable: true});
		document.dispatchEvent(new Event("visibilitychange"))`, hidden)))
}

// seen makes pages that are opened from now on windows beside each other: the tabs
// of one window are hidden but for one.
func (tb *pageTab) seen() {
	tb.t.Helper()
	if _, err := chromedp.Call(tb.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `Object.defineProperty(document, "hidden", {value: false, configurable: true})`,
	}); err != nil {
		tb.t.Fatal(err)
	}
}

// testX49CannotBeReachedIsTakenBack: the words go when the server is back.
func testX49CannotBeReachedIsTakenBack(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", endlessDemo())
	tb := p.open(t, s.public+"/?task="+id, "net::ERR_", "status of 404", "status of 401")
	tb.waitRows(3)
	s.kill()
	tb.do("start", chromedp.Evaluate[chromedp.Void](`void (document.getElementById("start").open = true)`), chromedp.Click(chromedp.ID("submit")))
	tb.shows("form-problem", "cannot be reached")
	tb.do("cancel", chromedp.Click(chromedp.ID("cancel")))
	tb.shows("notice", "was not cancelled")
	s.restart(t)
	tb.wait(`!document.getElementById("form-problem").checkVisibility()`)
	tb.wait(`!document.getElementById("notice").innerText.includes("was not cancelled")`)
}

// testX49RecentShowsTheShare that the task itself shows.
func testX49RecentShowsTheShare(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", jsonObject{"steps": 4, "delay": 4})
	tb := p.open(t, s.public+"/?task="+id)
	entry := fmt.Sprintf(`document.querySelector('#recent a[data-id="%s"] .status')?.innerText`, id)
	// Whichever the page is in time for.
	tb.wait(fmt.Sprintf(`["25 %%", "50 %%", "75 %%"].some((share) => document.getElementById("percent").innerText === share && %s === "running, " + share)`, entry))
	tb.wait(entry + ` === "completed"`)
}

// testX49AFileAsPathIsExplained in words, not as the API says it.
func testX49AFileAsPathIsExplained(t *testing.T, p pageSetup) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := p.serve(t, "--checksum-root", dir)
	tb := p.open(t, s.public+"/", "status of 400")
	for path, want := range map[string]string{
		"file/below": "A part of this path is a file",
		"missing":    "There is nothing at this path",
		"link":       "symbolic link",
	} {
		tb.do("start", chromedp.SetValue(chromedp.CSS(`[name="path"]`), path), chromedp.Click(chromedp.ID("submit")))
		tb.shows("form-problem", want)
		if got := tb.text("form-problem"); strings.Contains(got, "bad parameters") {
			t.Errorf("%s: the page says %q", path, got)
		}
	}
	tb.do("start", chromedp.SetValue(chromedp.CSS(`[name="path"]`), "file"), chromedp.Click(chromedp.ID("submit")))
	tb.waitState("Completed")
	off := p.serve(t, "--task-types", "failing_task")
	tb = p.open(t, off.public+"/", "status of 400")
	for n, want := range map[int]string{1: "--checksum-root", 2: "--task-types"} {
		tb.do("start", chromedp.Click(chromedp.CSS(fmt.Sprintf(`.types label:nth-of-type(%d)`, n))), chromedp.Click(chromedp.ID("submit")))
		tb.shows("form-problem", want)
	}
}

// testX49CancelOfAnothersTaskSaysSo: the task is written from outside.
func testX49CancelOfAnothersTaskSaysSo(t *testing.T, p pageSetup) {
	s := p.serve(t)
	s.ask(t, "POST", s.internal+"/internal/send", jsonObject{"topic": "task:outside", "event": jsonObject{
		"name": "task_event", "data": `{"event_type":"task_started","task_id":"outside","timestamp":"2026-01-02T03:04:05Z","data":null}`,
	}}, nil)
	tb := p.open(t, s.public+"/?task=outside", "status of 404")
	tb.waitState("Running")
	tb.do("cancel", chromedp.Click(chromedp.ID("cancel")))
	tb.shows("notice", "cannot cancel the task")
	tb.wait(`document.getElementById("cancel").innerText === "Cancel" && !document.getElementById("cancel").disabled`)
}

// landmarksOf lists the landmarks and headings that a reader jumps between.
const landmarksOf = `[...document.querySelectorAll("header, main, nav, footer, section, form, [role=region]")]
	.filter((e) => e.checkVisibility())
	.map((e) => {
		const label = e.getAttribute("aria-label") ?? document.getElementById(e.getAttribute("aria-labelledby"))?.innerText ?? "";
		if (["SECTION", "FORM"].includes(e.tagName) && label === "" && !e.hasAttribute("aria-labelledby")) return "";
		return (e.getAttribute("role") ?? e.tagName.toLowerCase().replace("section", "region")) + ":" + label;
	}).filter(Boolean)`

// testX49LandmarksAreDistinct, and there is one h1.
func testX49LandmarksAreDistinct(t *testing.T, p pageSetup) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := p.serve(t, "--checksum-root", dir)
	tb := p.open(t, s.public+"/")
	check := func(when string) {
		t.Helper()
		all := valueOf[[]string](tb, landmarksOf)
		slices.Sort(all)
		if len(slices.Compact(slices.Clone(all))) != len(all) || slices.ContainsFunc(all, func(l string) bool { return l == "region:" }) {
			t.Errorf("%s: landmarks %q are alike, or have no name", when, all)
		}
		if n := valueOf[int](tb, `document.querySelectorAll("h1").length`); n != 1 || !valueOf[bool](tb, `document.querySelector("h1").checkVisibility()`) {
			t.Errorf("%s: %d h1", when, n)
		}
	}
	check("with no task")
	tb.do("start", chromedp.Click(chromedp.ID("submit")))
	tb.waitState("Completed")
	tb.wait(`document.querySelectorAll("#result [role=region]").length === 2`)
	check("with a result")
}

// testX49TheSeventhTab loads, says that it waits, and goes on when another is
// closed or hidden.
func testX49TheSeventhTab(t *testing.T, p pageSetup) {
	s := p.serve(t)
	id := s.startTask(t, "demo_task", jsonObject{"steps": 1_000_000, "delay": 0.3})
	first := p.open(t, "about:blank")
	first.seen()
	first.do("open the page", chromedp.Navigate(s.public+"/?task="+id))
	tabs := []*pageTab{first}
	for range 6 {
		ctx, cancel := chromedp.NewContext(first.ctx) // of the same profile, which shares connections
		t.Cleanup(cancel)
		tb := &pageTab{t: t, ctx: ctx}
		tb.seen()
		tb.do("open the page", chromedp.Navigate(s.public+"/?task="+id))
		tabs = append(tabs, tb)
	}
	for i, tb := range tabs {
		if i < 5 {
			tb.waitRows(3)
			continue
		}
		tb.shows("notice", "goes on when one of them is closed or hidden")
		tb.shows("link", "Waiting")
	}
	tabs[1].look(true)
	tabs[2].do("leave", chromedp.Navigate("about:blank"))
	tabs[5].waitRows(3)
	tabs[6].waitRows(3)
	tabs[1].look(false)
	tabs[1].shows("link", "Waiting")
	before := len(tabs[1].rows())
	tabs[3].look(true)
	tabs[1].waitRows(before + 1)
	s.cancelTask(t, id)
	checkCancelled(t, tabs[1])
	checkCancelled(t, tabs[6])
	// A hidden tab shows in its title how the task ended.
	tabs[3].wait(`document.title.startsWith("–")`)
}

// TestX49Pictures writes pictures of the page for a person to look at, into the
// directory that TEST_PICTURES names.
func TestX49Pictures(t *testing.T) {
	out := os.Getenv("TEST_PICTURES")
	if out == "" {
		t.Skip("TEST_PICTURES names no directory")
	}
	p := pageSetup{bin: binary, browser: startChromium(t)}
	dir := t.TempDir()
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%d.txt", i)), []byte(strings.Repeat("x", 1000*i)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("file-1.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := p.serve(t, "--checksum-root", dir)
	running := s.startTask(t, "demo_task", jsonObject{"steps": 1000, "delay": 0.2})
	done := s.startTask(t, "checksum", jsonObject{})
	s.ask(t, "POST", s.internal+"/internal/send", jsonObject{"topic": "task:outside", "event": jsonObject{
		"name": "task_event", "data": `{"event_type":"task_started","task_id":"outside","timestamp":"2026-01-02T03:04:05Z","data":null}`,
	}}, nil)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			for name, path := range map[string]string{"none": "/", "running": "/?task=" + running, "done": "/?task=" + done, "outside": "/?task=outside"} {
				tb := p.open(t, "about:blank", "status of 4")
				if _, err := chromedp.Call(tb.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 844, DeviceScaleFactor: 1}); err != nil {
					t.Fatal(err)
				}
				if _, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}); err != nil {
					t.Fatal(err)
				}
				tb.do("open", chromedp.Navigate(s.public+path))
				switch name {
				case "running":
					tb.waitRows(5)
				case "done":
					tb.waitEnded()
				case "outside":
					tb.waitState("Running")
					tb.do("cancel", chromedp.Click(chromedp.ID("cancel")))
					tb.shows("notice", "cannot cancel")
				}
				tb.wait(`document.querySelectorAll("#recent li").length > 0`)
				picture, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(out, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
