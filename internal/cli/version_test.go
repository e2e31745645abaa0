package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/internal/version"
)

func TestVersionNamesReleaseCommitAndGo(t *testing.T) {
	t.Parallel()
	want := runCommand(t, "", "version")
	if got := runCommand(t, "", "--version"); got != want {
		t.Errorf("tidegate --version prints %q, tidegate version %q", got.stdout, want.stdout)
	}
	for _, part := range []string{"tidegate " + version.Get().Version + "\n", "\ncommit ", "\ngo1."} {
		if want.code != exitOK || !strings.Contains(want.stdout, part) {
			t.Errorf("tidegate version: exit code %d, stdout %q, want %q in it", want.code, want.stdout, part)
		}
	}
}

func TestCommandsNameThemselvesToServers(t *testing.T) {
	t.Parallel()
	agents := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agents <- r.UserAgent()
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	for want, args := range map[string][]string{
		version.UserAgent(): {"listen", server.URL},
		"own/1":             {"listen", server.URL, "--header", "user-agent: own/1"},
	} {
		runCommand(t, "", args...)
		if got := <-agents; got != want {
			t.Errorf("tidegate %q: User-Agent %q, want %q", args, got, want)
		}
	}
	for _, args := range [][]string{
		{"send", "--server", server.URL, "--topic", "t", "hello"},
		{"cluster", "status", "--server", server.URL},
	} {
		runCommand(t, "", args...)
		if got := <-agents; got != version.UserAgent() {
			t.Errorf("tidegate %q: User-Agent %q, want %q", args, got, version.UserAgent())
		}
	}
}

func TestLicensesAreWholeOrATable(t *testing.T) {
	t.Parallel()
	whole, table := runCommand(t, "", "licenses"), runCommand(t, "", "licenses", "--list")
	if whole.code != exitOK || !strings.Contains(whole.stdout, "github.com/nats-io/nats-server/v2 ") || !strings.Contains(whole.stdout, "TERMS AND CONDITIONS FOR USE") {
		t.Errorf("tidegate licenses: exit code %d, %d bytes", whole.code, len(whole.stdout))
	}
	if table.code != exitOK || strings.Count(table.stdout, "\n") < 20 || !strings.HasPrefix(table.stdout, "MODULE") {
		t.Errorf("tidegate licenses --list: exit code %d, stdout %q", table.code, table.stdout)
	}
	if got := runCommand(t, "", "licenses", "all"); got.code != exitUsage || !strings.Contains(got.stderr, `unexpected argument "all"`) {
		t.Errorf("tidegate licenses all: %+v", got)
	}
}
