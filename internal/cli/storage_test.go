package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/internal/transfer"
)

// archiveOf is an archive with n events of two topics.
func archiveOf(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"format":"tidegate-log","version":1,"generation":"gengengn","secret":"s","last":%d}`+"\n", n)
	for i := range n {
		prev := ""
		if i > 1 {
			prev = fmt.Sprintf(`"prev":%d,`, i-1)
		}
		fmt.Fprintf(&b, `{"seq":%d,"time":"2026-01-02T03:04:05.1%08dZ","topic":"t:%d","data":"event %d","number":%d,%s"prev_known":true}`+"\n",
			i+1, 10*i+1, i%2, i+1, i/2+1, prev)
	}
	fmt.Fprintf(&b, `{"end":true,"events":%d}`+"\n", n)
	return b.String()
}

// withLog gives a data folder with n events.
func withLog(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	if got := runCommand(t, archiveOf(n), "storage", "import", dir); got.code != exitOK || !strings.Contains(got.stderr, fmt.Sprintf("events=%d", n)) {
		t.Fatalf("import: %+v", got)
	}
	return dir
}

func TestStorageCheckSaysWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := withLog(t, 100)
	before := filesOf(t, dir)
	got := runCommand(t, "", "storage", "check", dir)
	for _, want := range []string{"gengengn", "100 of 2 topics", "1 to 100", "damage      none"} {
		if got.code != exitOK || !strings.Contains(got.stdout, want) {
			t.Errorf("check: %+v, want %q", got, want)
		}
	}
	got = runCommand(t, "", "storage", "check", dir, "--json")
	var report transfer.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || report.Events != 100 || len(report.Topics) != 2 || report.Damaged() {
		t.Errorf("check --json: %+v, %v", got, err)
	}
	got = runCommand(t, "", "storage", "dump", dir, "--topic", "t:1")
	if lines := strings.Count(got.stdout, "\n"); got.code != exitOK || lines != 50 || strings.Contains(got.stdout, `"t:0"`) || strings.Contains(got.stdout, "gengengn") {
		t.Errorf("dump: exit code %d, %d lines, %.300s", got.code, lines, got.stdout)
	}
	if after := filesOf(t, dir); after != before {
		t.Errorf("the folder has changed: %s, was %s", after, before)
	}
}

// filesOf is what a folder holds.
func filesOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStorageCheckSaysWhatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := withLog(t, 100)
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text[bytes.Index(text, []byte("event 51"))] ^= 1
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, "", "storage", "check", dir)
	for _, want := range []string{filepath.Base(files[0]), "positions 51 to 51 are missing", "99 of 2 topics", "topic       t:0"} {
		if got.code != exitError || !strings.Contains(got.stdout, want) {
			t.Errorf("check: %+v, want %q", got, want)
		}
	}
	got = runCommand(t, "", "storage", "export", dir)
	if got.code != exitOK || !strings.Contains(got.stderr, "warning: ") || !strings.Contains(got.stdout, `"events":99`) {
		t.Errorf("export: %.300s %s", got.stdout, got.stderr)
	}
}

// TestStorageExportAndImport: into a folder with all that it had, to a shared one with
// new positions.
func TestStorageExportAndImport(t *testing.T) {
	t.Parallel()
	dir, dirs := withLog(t, 100), t.TempDir()
	file := filepath.Join(dirs, "events.ndjson")
	if got := runCommand(t, "", "storage", "export", dir, "--out", file); got.code != exitOK || got.stdout != "" {
		t.Fatalf("export: %+v", got)
	}
	if got := runCommand(t, "", "storage", "export", dir, "--out", file); got.code != exitError || !strings.Contains(got.stderr, "exists") {
		t.Errorf("export over a file: %+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != archiveOf(100) {
		t.Errorf("the archive is not what was imported: %v, %.500s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	shared := filepath.Join(dirs, "shared")
	if got := runCommand(t, "", "storage", "import", "--shared", shared, "--in", file); got.code != exitOK {
		t.Fatalf("import --shared: %+v", got)
	}
	got := runCommand(t, "", "storage", "dump", shared)
	if lines := strings.Count(got.stdout, "\n"); got.code != exitOK || lines != 100 || !strings.Contains(got.stdout, `"seq":100,`) {
		t.Errorf("dump of a shared folder: %d lines, %+v", lines, got.stderr)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--overwrite", []string{"import", dir, "--in", file}},
		{"--overwrite", []string{"import", "--shared", shared, "--in", file}},
		{"start tidegate serve with it once", []string{"import", shared, "--in", file}},
		{"log of one process", []string{"import", "--shared", dir, "--in", file}},
		{"not an archive", []string{"import", dir, "--in", os.Args[0]}},
		{"on NATS", []string{"check", shared}},
		{"there is no event log", []string{"check", t.TempDir()}},
		{"no such file", []string{"import", dir, "--in", file + ".not"}},
		{"no such file", []string{"export", file + ".not"}},
	} {
		if got := runCommand(t, "", append([]string{"storage"}, c.args...)...); got.code != exitError || !strings.Contains(got.stderr, c.want) {
			t.Errorf("storage %q: exit code %d, %s, want %q", c.args, got.code, got.stderr, c.want)
		}
	}
}

// TestStorageImportOfACutArchiveChangesNothing.
func TestStorageImportOfACutArchiveChangesNothing(t *testing.T) {
	t.Parallel()
	dir, whole := withLog(t, 3), archiveOf(100)
	got := runCommand(t, whole[:len(whole)/2], "storage", "import", dir, "--overwrite")
	if got.code != exitError {
		t.Errorf("import: %+v", got)
	}
	if got := runCommand(t, "", "storage", "check", dir); got.code != exitOK || !strings.Contains(got.stdout, "3 of 2 topics") {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestStorageMistakesInTheCall(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"frob"}, {"check"}, {"dump"}, {"export"}, {"import"}, {"import", "--shared"}, {"check", "a", "b"},
		{"export", "--nats-url", "nats://127.0.0.1:1", "--nats-token", "file:/nowhere"},
	} {
		got := runCommand(t, "", append([]string{"storage"}, args...)...)
		if args == nil || got.code != exitUsage || !strings.Contains(got.stderr, "storage: ") {
			t.Errorf("storage %q: %+v, want exit code 2", args, got)
		}
	}
}
