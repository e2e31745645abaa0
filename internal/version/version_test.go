package version

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOfABuild(t *testing.T) {
	t.Parallel()
	commit := strings.Repeat("0123456789", 4)
	vcs := func(main, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: main}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for name, c := range map[string]struct {
		tag   string
		build *debug.BuildInfo
		want  string
	}{
		"a release":                {"v0.1.0", vcs("(devel)", "false"), "0.1.0"},
		"a release candidate":      {"v0.1.0-rc1", nil, "0.1.0-rc1"},
		"go install of a tag":      {"", &debug.BuildInfo{Main: debug.Module{Version: "v0.2.0"}}, "0.2.0"},
		"a checkout of a tag":      {"", vcs("v0.2.0", "false"), "0.2.0"},
		"a changed checkout of it": {"", vcs("v0.2.0+dirty", "true"), "devel-012345678901-dirty"},
		"a commit":                 {"", vcs("v0.0.0-20260102150405-012345678901", "false"), "devel-012345678901"},
		"a commit after a tag":     {"", vcs("v0.1.1-0.20260102150405-012345678901", "false"), "devel-012345678901"},
		"no tags at all":           {"", vcs("(devel)", "true"), "devel-012345678901-dirty"},
		"an archive without git":   {"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		"no build information":     {"", nil, "devel"},
	} {
		if got := describe(c.tag, c.build); got.Version != c.want || got.Go == "" || got.Revision == "" {
			t.Errorf("%s: %+v, want version %s", name, got, c.want)
		}
	}
}

// TestUserAgentIsAToken: it stands in a header.
func TestUserAgentIsAToken(t *testing.T) {
	t.Parallel()
	if got := UserAgent(); !regexp.MustCompile(`^tidegate/[\w.-]+$`).MatchString(got) {
		t.Errorf("User-Agent %q", got)
	}
}

// TestTheLinkerSetsTheRelease builds a program: a name that the linker does not find
// is no error, so nothing else would notice.
func TestTheLinkerSetsTheRelease(t *testing.T) {
	t.Parallel()
	path, err := exec.Command("go", "list", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "version")
	flags := "-X " + strings.TrimSpace(string(path)) + ".release=v7.8.9"
	if out, err := exec.Command("go", "build", "-ldflags", flags, "-o", binary, "./testdata/print").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil || string(out) != program+"/7.8.9\n" {
		t.Errorf("the program prints %q, %v", out, err)
	}
}
