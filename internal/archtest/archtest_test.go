// Package archtest holds the rules of the house that the compiler does not
// know: which package may import which.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed says which of our own packages each of them may import: always those
// further down. A package that is not listed may not exist. It is about what is
// built; what tests import is their own affair.
var allowed = map[string][]string{
	"sse":                         nil,
	"task":                        nil,
	"task/checksum":               {"task"},
	"client":                      nil,
	"task/publish":                {"client", "task"},
	"task/storetest":              {"task"},
	"task/taskhttp":               {"sse", "task"},
	"internal/wire":               {"internal/markdown"},
	"internal/selfsigned":         nil,
	"internal/checkout":           nil,
	"internal/longtest":           nil,
	"internal/markdown/pagetest":  nil,
	"internal/leftover":           nil,
	"internal/port":               nil,
	"internal/terminal":           nil,
	"internal/logging":            nil,
	"internal/socket":             nil,
	"internal/socket/sockettest":  nil,
	"internal/outbound":           {"internal/certs"},
	"internal/certs":              nil,
	"internal/heap":               nil,
	"internal/pipenet":            nil,
	"internal/licenses":           nil,
	"internal/version":            nil,
	"internal/page":               nil,
	"internal/backoff":            nil,
	"internal/former":             nil,
	"internal/markdown":           nil,
	"internal/metric":             {"internal/markdown", "internal/wire"},
	"internal/access":             {"internal/wire"},
	"internal/config":             {"internal/markdown", "internal/grant", "internal/socket", "internal/access", "internal/former"},
	"internal/stream":             {"internal/wire", "sse"},
	"internal/topic":              {"internal/backoff", "internal/heap", "internal/stream", "internal/wire", "sse"},
	"internal/storage/storetest":  {"internal/topic", "internal/wire"},
	"internal/storage/natstest":   {"internal/checkout", "internal/leftover", "internal/port"},
	"internal/packed":             {"internal/wire"},
	"internal/cors":               nil,
	"internal/grant":              {"internal/access"},
	"internal/express":            nil,
	"internal/archive":            {"internal/topic"},
	"internal/storage/segments":   {"internal/topic", "internal/wire"},
	"internal/transfer":           {"internal/archive", "internal/storage/eventlog", "internal/storage/nats", "internal/storage/segments", "internal/topic"},
	"internal/storage/nats":       {"internal/certs", "internal/backoff", "internal/former", "internal/wire"},
	"internal/storage/eventlog":   {"internal/heap", "internal/storage/nats", "internal/backoff", "internal/former", "internal/topic", "internal/wire"},
	"internal/storage/membership": {"internal/storage/nats", "internal/backoff", "internal/wire"},
	"internal/storage/sessions":   {"internal/storage/membership", "internal/storage/nats", "internal/backoff", "internal/wire"},
	"internal/storage/taskstore":  {"internal/storage/nats", "internal/backoff", "task"},
	"internal/gateway":            {"internal/metric", "internal/version", "internal/backoff", "internal/gateway/admission", "internal/gateway/callback", "internal/gateway/token", "internal/outbound", "internal/access", "internal/packed", "internal/topic", "internal/stream", "internal/wire", "sse", "internal/cors", "internal/peer", "internal/limit"},
	"internal/gateway/admission":  {"internal/peer"},
	"internal/gateway/callback":   {"internal/heap", "internal/access", "internal/backoff", "internal/gateway/admission", "internal/gateway/token", "internal/outbound", "internal/packed", "internal/peer", "internal/version", "internal/wire"},
	"internal/gateway/token":      nil,
	"internal/backend":            {"internal/heap", "internal/metric", "client", "internal/limit", "internal/peer", "internal/socket", "internal/grant", "internal/outbound", "internal/access", "task", "task/publish", "internal/wire"},
	"internal/app":                {"internal/metric", "client", "internal/version", "internal/outbound", "internal/socket", "internal/grant", "internal/certs", "internal/access", "internal/former", "internal/express", "internal/gateway", "internal/backend", "internal/storage/eventlog", "internal/storage/membership", "internal/storage/nats", "internal/storage/sessions", "internal/storage/taskstore", "internal/storage/segments", "internal/transfer", "internal/topic", "internal/stream", "internal/config", "internal/logging", "internal/page", "internal/pipenet", "internal/wire", "task", "task/checksum", "internal/cors", "internal/peer", "internal/limit"},
	"internal/peer":               nil,
	"internal/limit":              {"internal/metric", "internal/peer", "internal/wire"},
	"internal/bench":              {"internal/backoff", "internal/selfsigned", "sse"},
	"internal/cli":                {"internal/markdown", "client", "internal/licenses", "internal/outbound", "internal/socket", "internal/access", "internal/app", "internal/bench", "internal/config", "internal/logging", "internal/terminal", "internal/transfer", "internal/version", "internal/wire", "sse"},
	"cmd/tidegate":                {"internal/cli"},
	"internal/e2e":                nil,
	"internal/archtest":           nil,
	"measure/limit":               nil,

	// Tools for the repository itself.
	"internal/tools/house":  nil,
	"internal/tools/mutate": nil,
	"internal/tools/module": nil,

	// The judges of reliability know the program from outside.
	"measure/reliability":             nil,
	"measure/reliability/command":     nil,
	"measure/reliability/record":      nil,
	"measure/reliability/eventsource": nil,
	"measure/reliability/api":         nil,
	"measure/reliability/harness":     {"internal/port"},
	"measure/reliability/callback":    {"measure/reliability/api", "measure/reliability/record"},
	"measure/reliability/workload":    {"measure/reliability/api", "measure/reliability/callback", "measure/reliability/eventsource", "measure/reliability/record"},
	"measure/reliability/judge":       {"measure/reliability/record"},
	"measure/reliability/load":        {"measure/reliability/command", "measure/reliability/workload"},
	"measure/reliability/check":       {"measure/reliability/command", "measure/reliability/judge"},
	"measure/reliability/kill":        {"measure/reliability/harness", "measure/reliability/command", "measure/reliability/judge", "measure/reliability/workload"},
	"measure/reliability/tasks":       {"measure/reliability/harness", "measure/reliability/command", "measure/reliability/eventsource"},
	"measure/reliability/storm":       {"measure/reliability/api", "measure/reliability/harness", "measure/reliability/callback", "measure/reliability/command", "measure/reliability/eventsource", "measure/reliability/record"},
	"measure/reliability/power":       {"measure/reliability/api", "measure/reliability/harness", "measure/reliability/callback", "measure/reliability/command", "measure/reliability/eventsource", "measure/reliability/record"},
	"measure/reliability/hostile":     {"internal/checkout", "measure/reliability/api", "measure/reliability/harness", "measure/reliability/callback", "measure/reliability/command", "measure/reliability/record"},
	"measure/reliability/testbinary":  {"internal/checkout"},
	"deploy/cluster/balance":          {"internal/port"},
}

// publicStdlibOnly lists the packages that import nothing but the standard
// library and each other.
var publicStdlibOnly = []string{"sse", "client", "task", "task/checksum", "task/publish", "task/storetest", "task/taskhttp"}

// testSupport lists the packages that only tests may import.
var testSupport = []string{"internal/leftover", "internal/socket/sockettest", "internal/longtest", "internal/markdown/pagetest", "task/storetest", "internal/storage/natstest", "internal/storage/storetest", "measure/reliability/testbinary"}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of tests in the package
	XTestImports []string // of tests outside it, in package x_test
}

// TestTheProgramDoesNotKnowWhatMeasuresIt: measure has a module of its own.
func TestTheProgramDoesNotKnowWhatMeasuresIt(t *testing.T) {
	t.Parallel()
	for _, p := range packagesOf(t, root) {
		if strings.HasPrefix(p.ImportPath, "tidegate/measure") {
			t.Errorf("%s belongs to the module of the program", p.ImportPath)
		}
	}
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name, ours := strings.CutPrefix(p.ImportPath, "tidegate/")
		if !ours {
			continue
		}
		may, listed := allowed[name]
		if !listed {
			if strings.HasPrefix(name, "examples/") {
				continue
			}
			t.Errorf("package %s is not in the table of imports: give it a place there", name)
			continue
		}
		for _, path := range p.Imports {
			other, ours := strings.CutPrefix(path, "tidegate/")
			if ours && !slices.Contains(may, other) {
				t.Errorf("%s imports %s; it may import only %v", name, other, may)
			}
			if slices.Contains(publicStdlibOnly, name) && !ours && strings.Contains(path, ".") {
				t.Errorf("%s imports %s; it may import only the standard library", name, path)
			}
		}
	}
}

func TestSupportOfTestsIsImportedByTestsAlone(t *testing.T) {
	t.Parallel()
	all := packages(t)
	for _, support := range testSupport {
		path, used := "tidegate/"+support, false
		for _, p := range all {
			imports := slices.Contains(p.Imports, path)
			if imports && !slices.Contains(testSupport, strings.TrimPrefix(p.ImportPath, "tidegate/")) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, support)
			}
			used = used || imports || slices.Contains(p.TestImports, path) || slices.Contains(p.XTestImports, path)
		}
		if !used {
			t.Errorf("no test imports %s", support)
		}
	}
}

// TestOnlyStorageKnowsNATS keeps the engine where it can be replaced: what others need
// of it they say in interfaces of their own. Its server is known to one package, and to
// tests.
func TestOnlyStorageKnowsNATS(t *testing.T) {
	t.Parallel()
	const storage = "tidegate/internal/storage/"
	engine := storage + "nats"
	clients := []string{storage + "eventlog", storage + "membership", storage + "sessions", storage + "taskstore"}
	imports := func(p goPackage, library string) bool {
		all := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		return slices.ContainsFunc(all, func(path string) bool { return strings.HasPrefix(path, library) })
	}
	used := false
	for _, p := range packages(t) {
		switch p.ImportPath {
		case engine:
			used = imports(p, "github.com/nats-io/nats-server/")
			continue
		case engine + "test":
			continue
		}
		if imports(p, "github.com/nats-io/nats-server/") {
			t.Errorf("%s imports the server of NATS; only %s may", p.ImportPath, engine)
		}
		if imports(p, "github.com/nats-io/") && !slices.Contains(clients, p.ImportPath) {
			t.Errorf("%s imports NATS; only packages in %s may", p.ImportPath, storage)
		}
	}
	if !used {
		t.Errorf("%s does not import the server of NATS: this test looks for the wrong name", engine)
	}
}

// packages lists the packages of all modules of the repository.
func packages(t *testing.T) []goPackage {
	t.Helper()
	var found []goPackage
	for _, dir := range modules(t) {
		found = append(found, packagesOf(t, dir)...)
	}
	if len(found) < 5 {
		t.Fatalf("go list found %d packages, want all modules", len(found))
	}
	return found
}

// packagesOf asks the go command, so that build tags and generated files count as
// they do in a build.
func packagesOf(t *testing.T, dir string) []goPackage {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v", dir, err)
	}
	var found []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		found = append(found, p)
	}
	return found
}

// modules are the folders of the repository's modules.
func modules(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case name == "go.mod":
			found = append(found, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found, filepath.Join(root, "measure")) {
		t.Fatalf("found the modules %v", found)
	}
	return found
}
