// Package archtest holds the rules of the house that the compiler does not
// know: which package may import which.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says which of our own packages each of them may import: always those
// further down. A package that is not listed may not exist. It is about what is
// built; what tests import is their own affair.
var allowed = map[string][]string{
	"sse":                        nil,
	"task":                       nil,
	"task/checksum":              {"task"},
	"task/publish":               {"task"},
	"internal/wire":              nil,
	"internal/selfsigned":        nil,
	"internal/leftover":          nil,
	"internal/port":              nil,
	"internal/terminal":          nil,
	"internal/logging":           nil,
	"internal/socket":            nil,
	"internal/outbound":          {"internal/certs"},
	"internal/certs":             nil,
	"internal/pipenet":           nil,
	"internal/page":              nil,
	"internal/former":            nil,
	"internal/version":           nil,
	"internal/access":            {"internal/wire"},
	"internal/config":            {"internal/grant", "internal/socket", "internal/access", "internal/former"},
	"internal/stream":            {"internal/wire", "sse"},
	"internal/topic":             {"internal/stream", "internal/wire", "sse"},
	"internal/storage/storetest": {"internal/topic", "internal/wire"},
	"internal/packed":            {"internal/wire"},
	"internal/cors":              nil,
	"internal/grant":             {"internal/access"},
	"internal/express":           nil,
	"internal/archive":           {"internal/topic"},
	"internal/storage/segments":  {"internal/topic", "internal/wire"},
	"internal/transfer":          {"internal/archive", "internal/cluster", "internal/storage/segments", "internal/topic"},
	"internal/cluster":           {"internal/certs", "internal/former", "internal/topic", "internal/wire", "task"},
	"internal/gateway":           {"internal/gateway/admission", "internal/outbound", "internal/access", "internal/packed", "internal/topic", "internal/stream", "internal/wire", "sse", "internal/cors", "internal/peer", "internal/limit"},
	"internal/gateway/admission": {"internal/peer"},
	"internal/backend":           {"internal/limit", "internal/peer", "internal/socket", "internal/grant", "internal/outbound", "internal/access", "task", "task/publish", "internal/wire"},
	"internal/app":               {"internal/outbound", "internal/socket", "internal/grant", "internal/certs", "internal/access", "internal/former", "internal/express", "internal/gateway", "internal/backend", "internal/cluster", "internal/storage/segments", "internal/transfer", "internal/topic", "internal/stream", "internal/config", "internal/logging", "internal/page", "internal/pipenet", "internal/wire", "task", "task/checksum", "internal/cors", "internal/peer", "internal/limit"},
	"internal/peer":              nil,
	"internal/limit":             {"internal/peer", "internal/wire"},
	"internal/bench":             {"internal/selfsigned", "sse"},
	"internal/cli":               {"internal/outbound", "internal/socket", "internal/access", "internal/app", "internal/bench", "internal/config", "internal/logging", "internal/terminal", "internal/transfer", "internal/version", "internal/wire", "sse"},
	"cmd/tidegate":               {"internal/cli"},
	"internal/e2e":               nil,
	"internal/archtest":          nil,
	"bench/limit":                nil,

	// Tools for the repository itself.
	"internal/tools/house":  nil,
	"internal/tools/module": nil,

	// The judges of reliability know the program from outside.
	"reliability":             nil,
	"reliability/command":     nil,
	"reliability/record":      nil,
	"reliability/eventsource": nil,
	"reliability/api":         nil,
	"reliability/bed":         {"internal/port"},
	"reliability/callback":    {"reliability/api", "reliability/record"},
	"reliability/workload":    {"reliability/api", "reliability/callback", "reliability/eventsource", "reliability/record"},
	"reliability/judge":       {"reliability/record"},
	"reliability/load":        {"reliability/command", "reliability/workload"},
	"reliability/check":       {"reliability/command", "reliability/judge"},
	"reliability/kill":        {"reliability/bed", "reliability/command", "reliability/judge", "reliability/workload"},
	"reliability/tasks":       {"reliability/bed", "reliability/command", "reliability/eventsource"},
	"reliability/storm":       {"reliability/api", "reliability/bed", "reliability/callback", "reliability/command", "reliability/eventsource", "reliability/record"},
	"reliability/power":       {"reliability/api", "reliability/bed", "reliability/callback", "reliability/command", "reliability/eventsource", "reliability/record"},
	"reliability/hostile":     {"reliability/api", "reliability/bed", "reliability/callback", "reliability/command", "reliability/record"},
	"reliability/testbinary":  nil,
	"deploy/cluster/balance":  {"internal/port"},
}

// publicStdlibOnly lists the packages that import nothing but the standard
// library and each other.
var publicStdlibOnly = []string{"sse", "task", "task/checksum", "task/publish"}

// testSupport lists the packages that only tests may import.
var testSupport = []string{"internal/leftover", "internal/storage/storetest", "reliability/testbinary"}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of tests in the package
	XTestImports []string // of tests outside it, in package x_test
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
			if slices.Contains(p.Imports, path) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, support)
			}
			used = used || slices.Contains(p.TestImports, path) || slices.Contains(p.XTestImports, path)
		}
		if !used {
			t.Errorf("no test imports %s", support)
		}
	}
}

// TestOnePackageKnowsNATS keeps the engine where it can be replaced: what others
// need of it they say in interfaces of their own.
func TestOnePackageKnowsNATS(t *testing.T) {
	t.Parallel()
	used := false
	for _, p := range packages(t) {
		imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		knows := slices.ContainsFunc(imports, func(path string) bool { return strings.HasPrefix(path, "github.com/nats-io/") })
		switch {
		case p.ImportPath == "tidegate/internal/cluster":
			used = knows
		case knows:
			t.Errorf("%s imports NATS; only internal/cluster may", p.ImportPath)
		}
	}
	if !used {
		t.Error("internal/cluster does not import NATS: this test looks for the wrong name")
	}
}

// packages asks the go command, so that build tags and generated files count as
// they do in a build.
func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "tidegate/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
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
	if len(found) < 5 {
		t.Fatalf("go list found %d packages, want the whole module", len(found))
	}
	return found
}
