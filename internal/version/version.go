// Package version says which build of the program this is. The version command, the
// metric tidegate_build_info and the User-Agent header all read it here.
package version

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// release is the version of a release build. The linker sets it from the tag:
//
//	go build -ldflags "-X tidegate/internal/version.release=v0.1.0" ./cmd/tidegate
var release string

// Info describes a build.
type Info struct {
	Version  string // "0.1.0" for a release, else "devel" with the commit if it is known
	Revision string // the commit, "unknown" if the build has none
	Modified bool   // the working tree had changes that were not committed
	Go       string // the Go release that compiled it, such as "go1.26.0"
}

// Get describes this build. It may be called at any time, by any goroutine.
var Get = sync.OnceValue(func() Info {
	build, _ := debug.ReadBuildInfo()
	return describe(release, build)
})

// UserAgent is what requests of this program say in their User-Agent header, such as
// "tidegate/0.1.0". The name is that of the program, whatever path the module has.
func UserAgent() string { return program + "/" + Get().Version }

const program = "tidegate"

// describe prefers the tag that the linker was given, then the version that the go
// command knows (go install tidegate/cmd/tidegate@v0.1.0), then the commit. A build
// that is none of them says so: it must not pass for a release.
func describe(tag string, build *debug.BuildInfo) Info {
	info := Info{Revision: "unknown", Go: runtime.Version()}
	if build == nil {
		build = &debug.BuildInfo{}
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Revision = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		}
	}
	if tag == "" && isTag(build.Main.Version) && !info.Modified {
		tag = build.Main.Version
	}
	info.Version = cmp.Or(strings.TrimPrefix(tag, "v"), devel(info))
	return info
}

func devel(info Info) string {
	if info.Revision == "unknown" {
		return "devel"
	}
	name := "devel-" + info.Revision[:min(12, len(info.Revision))]
	if info.Modified {
		name += "-dirty"
	}
	return name
}

// isTag reports whether a module's version is a tag. The go command makes up versions
// for other commits: they carry the time of the commit, v0.0.0-20260102150405-abcdef123456.
func isTag(v string) bool {
	_, rest, isPre := strings.Cut(v, "-")
	return strings.HasPrefix(v, "v") && !strings.Contains(v, "+") && (!isPre || strings.Count(rest, "-") == 0)
}
