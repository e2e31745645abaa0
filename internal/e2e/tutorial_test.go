package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pages in docs/start are run as they stand: each file is written, each command is run by a
// shell. Only ports differ, so that none has to be free.

// block is a fenced block of a tutorial. Kind is what follows the language: the name of a file, or
// for commands "install" (in the checkout), "run" (keeps running), "watch", or nothing.
type block struct{ lang, kind, text string }

func tutorialBlocks(t *testing.T, page string) (all []block) {
	t.Helper()
	var open *block
	for line := range strings.Lines(readText(t, page)) {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			lang, kind, _ := strings.Cut(strings.TrimSpace(info), " ")
			open = &block{lang: lang, kind: kind}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil || len(all) == 0 {
		t.Fatalf("%s has %d blocks, and one without an end: %v", page, len(all), open != nil)
	}
	return all
}

// tutorial is one page whose files are in dir and whose commands have env.
type tutorial struct {
	t      *testing.T
	page   string
	dir    string
	env    []string
	ports  *strings.Replacer
	web    string // URL of the application
	public string // URL of the public listener
	blocks []block
}

func newTutorial(t *testing.T, page string) *tutorial {
	t.Helper()
	port := func() string {
		_, port, _ := strings.Cut(freeAddress(t), ":")
		return port
	}
	app, public, internal := port(), port(), port()
	u := &tutorial{
		t: t, page: page, dir: t.TempDir(), blocks: tutorialBlocks(t, page),
		web: "http://127.0.0.1:" + app, public: "http://127.0.0.1:" + public,
		ports: strings.NewReplacer("127.0.0.1:5000", "127.0.0.1:"+app, "127.0.0.1:8080", "127.0.0.1:"+public, "127.0.0.1:8081", "127.0.0.1:"+internal),
	}
	bin := filepath.Join(u.dir, "bin")
	u.env = []string{
		"GOBIN=" + bin, "PATH=" + bin + ":/usr/bin:" + os.Getenv("PATH"), "FLASK_RUN_PORT=" + app, "PYTHONUNBUFFERED=1",
		"TIDEGATE_LISTEN=127.0.0.1:" + public, "TIDEGATE_INTERNAL_LISTEN=127.0.0.1:" + internal,
		"TIDEGATE_SERVER=http://127.0.0.1:" + internal, "TIDEGATE_DRAIN_TIME=0s",
	}
	for _, b := range u.blocks {
		switch {
		case b.lang == "sh" && b.kind == "install":
			u.runIn("../..", b.text)
		case b.lang != "sh" && strings.Contains(b.kind, "."):
			if err := os.WriteFile(filepath.Join(u.dir, b.kind), []byte(u.ports.Replace(b.text)), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.lang != "sh" || !slices.Contains([]string{"", "run", "watch"}, b.kind):
			t.Errorf("%s has a block of %q %q, which no test runs", page, b.lang, b.kind)
		}
	}
	return u
}

// command returns the one command of a kind that contains part.
func (u *tutorial) command(kind, part string) string {
	u.t.Helper()
	var found []string
	for _, b := range u.blocks {
		if b.lang == "sh" && b.kind == kind && strings.Contains(b.text, part) {
			found = append(found, u.ports.Replace(b.text))
		}
	}
	if len(found) != 1 {
		u.t.Fatalf("%s has %d commands (%s) with %q, want one", u.page, len(found), kind, part)
	}
	return found[0]
}

// start starts a command that keeps running.
func (u *tutorial) start(part, ready string) *exampleProgram {
	u.t.Helper()
	p := shell(u.t, u.dir, "exec "+strings.TrimSpace(u.command("run", part)), u.env...)
	p.waitFor(u.t, ready)
	return p
}

// run runs a command to its end and returns what it prints.
func (u *tutorial) run(kind, part string) string {
	u.t.Helper()
	return u.runIn(u.dir, u.command(kind, part))
}

func (u *tutorial) runIn(dir, command string) string {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 10*patience) // some compile
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), u.env...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("%s: %s: %v\n%s%s", u.page, command, err, out, complaints.String())
	}
	return string(out)
}

// watchJob opens the page of a job that has count steps, reloads it, restarts the gateway and looks
// at it in a second tab. Each must show every step once, in order.
func (u *tutorial) watchJob(gateway *exampleProgram, url, list, item, end string, count int) {
	t := u.t
	t.Helper()
	browser := startChromium(t)
	shown := fmt.Sprintf(`[...document.querySelectorAll(%q)].map((li) => li.textContent)`, list+" li")
	inOrder := fmt.Sprintf(`((all) => all.every((text, i) => text.startsWith((%s)(i))))(%s)`, item, shown)
	atLeast := func(tab *pageTab, n int) {
		t.Helper()
		tab.wait(fmt.Sprintf(`%s.length >= %d && %s`, shown, n, inOrder))
	}
	whole := func(tab *pageTab) {
		t.Helper()
		tab.wait(fmt.Sprintf(`state.textContent === %q && %s.length === %d && %s`, end, shown, count, inOrder))
	}
	tab := openPageTab(t, browser, url, "favicon", "net::ERR_CONNECTION_REFUSED", "ERR_")
	atLeast(tab, 3)
	tab.do("reload the page", chromedp.Reload())
	atLeast(tab, 5)
	if err := gateway.end(2 /* SIGINT, as by Ctrl-C */); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	u.start("tidegate gateway", "is ready")
	whole(tab)
	whole(openPageTab(t, browser, url, "favicon"))
}

// TestTutorialFlask follows docs/start/flask.md.
func TestTutorialFlask(t *testing.T) {
	t.Parallel()
	u := newTutorial(t, "../../docs/start/flask.md")
	gateway := u.start("tidegate gateway", "is ready")
	u.start("flask ", "Running on")
	u.run("", "seq 60")
	url := strings.TrimSpace(u.run("", "curl "))
	if !strings.HasPrefix(url, u.web+"/imports/") {
		t.Fatalf("the import is at %q", url)
	}
	u.watchJob(gateway, url, "#rows", "(i) => `${i + 1} of 60: Person ${i + 1}`", "60 people imported", 60)
	if n := u.runIn(u.dir, `python3 -c 'import sqlite3; print(sqlite3.connect("people.db").execute("SELECT count(*) FROM people").fetchone()[0])'`); n != "60\n" {
		t.Errorf("the database has %s people, want 60", n)
	}
}

// TestTutorialGo follows docs/start/go.md.
func TestTutorialGo(t *testing.T) {
	t.Parallel()
	u := newTutorial(t, "../../docs/start/go.md")
	u.run("", "go mod init")
	gateway := u.start("tidegate gateway", "is ready")
	u.start("go run", "open http")
	url := strings.TrimSpace(u.run("", "curl "))
	u.watchJob(gateway, url, "#steps", "(i) => `+ ${i} = ${i * (i + 1) / 2}`", "The sum is 1225", 50)
}

// TestTutorialCommand follows docs/start/command.md.
func TestTutorialCommand(t *testing.T) {
	t.Parallel()
	u := newTutorial(t, "../../docs/start/command.md")
	u.start("tidegate serve", "is ready")
	u.run("", "--close")
	if got, want := u.run("watch", "task_id=build"), "line\tstep 1\nline\tstep 2\nline\tstep 3\nexit\tfinished\n"; got != want {
		t.Errorf("the watcher sees %q, want %q", got, want)
	}
	u.run("", "curl ")
	u.run("", "sed ")
	if got, want := u.run("watch", "task_id=deploy"), "line\tcopying files\nline\tfile 1\nline\tfile 2\nline\tfile 3\n"; got != want {
		t.Errorf("the watcher sees %q, want %q", got, want)
	}
}

// TestGuideGoTasks follows docs/guides/go-tasks.md, in a module outside of the checkout.
func TestGuideGoTasks(t *testing.T) {
	t.Parallel()
	u := newTutorial(t, "../../docs/guides/go-tasks.md")
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	u.env = append(u.env, "CHECKOUT="+checkout, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	u.run("", "go mod init")
	u.start("tidegate serve", "is ready")
	u.start("go run", "ready: POST")
	page := strings.TrimSpace(u.run("", "curl "))
	tab := openPageTab(t, startChromium(t), page, "favicon", "status of 404")
	tab.waitEnded()
	tab.wait(`document.body.innerText.includes("+ 19 = 190")`)
}

// TestEachTutorialIsRun finds a page in docs/start that no test follows.
func TestEachTutorialIsRun(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/start/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	test := readText(t, "tutorial_test.go")
	for _, page := range pages {
		if !strings.Contains(test, `newTutorial(t, "`+page+`")`) {
			t.Errorf("no test follows %s", page)
		}
	}
}
