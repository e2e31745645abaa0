//go:build unix

package checksum

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// Digests that are known from elsewhere (FIPS 180-4 and its examples).
const (
	sumEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sumABC   = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	sumAx1M  = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" // a million times "a"
)

func TestKnownDigests(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"b/abc": "abc", "b-c": "abc", "empty": "", "b/deep/er/a": strings.Repeat("a", 1_000_000), "nothing/": "",
	})
	synctest.Test(t, func(t *testing.T) {
		typ, err := New(Options{Roots: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ := runTask(t, typ, "{}")
		want := Result{
			Root: filepath.Base(dir), Path: ".",
			Files: []File{
				{"b-c", 3, sumABC},
				{"b/abc", 3, sumABC},
				{"b/deep/er/a", 1_000_000, sumAx1M},
				{"empty", 0, sumEmpty},
			},
			Skipped:    []Skipped{},
			TotalFiles: 4, TotalBytes: 1_000_006,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	})
}

func TestPathsInsideTheRoots(t *testing.T) {
	t.Parallel()
	one := tree(t, map[string]string{"a/x": "1", "a/y": "2", "only one/z": "3"})
	two := tree(t, map[string]string{"a/w": "4", "b/v": "5"})
	for params, want := range map[string][]string{
		`{}`:                        {"a/x", "a/y", "only one/z"},
		`{"path":""}`:               {"a/x", "a/y", "only one/z"},
		`{"path":"."}`:              {"a/x", "a/y", "only one/z"},
		`{"path":"a"}`:              {"a/x", "a/y"}, // the first root that has it
		`{"path":"b"}`:              {"b/v"},
		`{"path":"a/x"}`:            {"a/x"},
		`{"path":"a/../only one"}`:  {"only one/z"},
		`{"path":"` + two + `"}`:    {"a/w", "b/v"},
		`{"path":"` + two + `/a/"}`: {"a/w"},
	} {
		t.Run(params, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, _ := sums(t, Options{Roots: []string{one, two}}, params); !slices.Equal(got, want) {
					t.Errorf("files are %q, want %q", got, want)
				}
			})
		})
	}
}

func TestParamsThatAreRefused(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "s"})
	dir := tree(t, map[string]string{"a": "1", ".hidden/x": "2", "data/db": "3", "plain/y": "4"})
	link(t, outside, filepath.Join(dir, "escape"))
	link(t, ".hidden", filepath.Join(dir, "inward"))
	link(t, "data", filepath.Join(dir, "plain", "to-data"))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	typ, err := New(Options{Roots: []string{dir}, Exclude: []string{filepath.Join(dir, "data")}})
	if err != nil {
		t.Fatal(err)
	}
	nowhere := errNowhere.Error()
	for params, want := range map[string]string{
		`{"path":".."}`:                                 nowhere,
		`{"path":"a/../../x"}`:                          nowhere,
		`{"path":"` + outside + `"}`:                    nowhere,
		`{"path":"` + dir + `/../x"}`:                   nowhere,
		`{"path":"` + dir + `x"}`:                       nowhere,
		`{"path":"/etc/passwd"}`:                        nowhere,
		`{"path":"missing"}`:                            nowhere,
		`{"path":".hidden"}`:                            nowhere,
		`{"path":".hidden/x"}`:                          nowhere,
		`{"path":"data"}`:                               nowhere,
		`{"path":"data/db"}`:                            nowhere,
		`{"path":"escape"}`:                             "symbolic link",
		`{"path":"escape/secret"}`:                      "symbolic link",
		`{"path":"inward/x"}`:                           "symbolic link",
		`{"path":"plain/to-data/db"}`:                   "symbolic link",
		`{"path":"fifo"}`:                               "neither a directory nor a regular file",
		`{"path":"a/below a file"}`:                     "not a directory",
		`{"path":"a\u0000"}`:                            "NUL",
		`{"path":1}`:                                    "path must be a string",
		`{"pth":"a"}`:                                   "pth",
		`{"hidden":true}`:                               "hidden",
		`{"hidden":"yes"}`:                              "hidden must be true or false",
		`{"path":"` + strings.Repeat("d/", 5000) + `"}`: "",
	} {
		err := typ.Check(json.RawMessage(params))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%.80s) = %v, want an error that says %q", params, err, want)
		}
		if err != nil && strings.Contains(err.Error(), dir) {
			t.Errorf("Check(%.80s) = %v, which names the root", params, err)
		}
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "s"})
	dir := tree(t, map[string]string{"a": "1", "sub/b": "2"})
	link(t, outside, filepath.Join(dir, "to-dir"))
	link(t, filepath.Join(outside, "secret"), filepath.Join(dir, "to-file"))
	link(t, "../a", filepath.Join(dir, "sub", "inside"))
	link(t, ".", filepath.Join(dir, "loop"))
	link(t, "missing", filepath.Join(dir, "dangling"))
	synctest.Test(t, func(t *testing.T) {
		files, skipped := sums(t, Options{Roots: []string{dir}}, "{}")
		if want := []string{"a", "sub/b"}; !slices.Equal(files, want) {
			t.Errorf("files are %q, want %q", files, want)
		}
		want := []string{"dangling: symbolic link", "loop: symbolic link", "sub/inside: symbolic link", "to-dir: symbolic link", "to-file: symbolic link"}
		if !slices.Equal(skipped, want) {
			t.Errorf("skipped are %q, want %q", skipped, want)
		}
	})
}

func TestHiddenNamesAreLeftOutUnlessAskedFor(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "1", ".env": "2", ".git/config": "3", "sub/.x/y": "4"})
	for params, want := range map[string][]string{
		`{}`:                            {"a"},
		`{"hidden":false}`:              {"a"},
		`{"hidden":true}`:               {".env", ".git/config", "a", "sub/.x/y"},
		`{"hidden":true,"path":".git"}`: {".git/config"},
	} {
		synctest.Test(t, func(t *testing.T) {
			files, skipped := sums(t, Options{Roots: []string{dir}, AllowHidden: true}, params)
			if !slices.Equal(files, want) || len(skipped) > 0 {
				t.Errorf("%s: files are %q, skipped %q, want %q", params, files, skipped, want)
			}
		})
	}
}

func TestExcludedIsLeftOutByWhateverName(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "1", "data/db": "2", "data/deep/er": "3", "key": "4", "database": "5"})
	other := filepath.Join(t.TempDir(), "other name")
	link(t, dir, other)
	for _, c := range []struct{ root, exclude string }{{dir, dir}, {other, dir}, {dir, other}} {
		synctest.Test(t, func(t *testing.T) {
			files, skipped := sums(t, Options{Roots: []string{c.root}, Exclude: []string{
				filepath.Join(c.exclude, "data"), filepath.Join(c.exclude, "key"), filepath.Join(c.exclude, "missing"),
			}}, "{}")
			if want := []string{"a", "database"}; !slices.Equal(files, want) || len(skipped) > 0 {
				t.Errorf("%+v: files are %q, skipped %q, want %q", c, files, skipped, want)
			}
		})
	}
}

func TestOddFilesAreReported(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "1", "locked": "2", "closed/x": "3"})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantFiles, wantSkipped := []string{"a", "closed/x", "locked"}, []string{"fifo: not a regular file"}
	for _, name := range []string{"locked", "closed"} {
		if err := os.Chmod(filepath.Join(dir, name), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, name), 0o755) })
	}
	if os.Geteuid() != 0 { // permissions do not stop root
		wantFiles, wantSkipped = []string{"a"}, []string{"closed: permission denied", "fifo: not a regular file", "locked: permission denied"}
	}
	synctest.Test(t, func(t *testing.T) {
		files, skipped := sums(t, Options{Roots: []string{dir}}, "{}")
		if !slices.Equal(files, wantFiles) || !slices.Equal(skipped, wantSkipped) {
			t.Errorf("files are %q, skipped %q; want %q, %q", files, skipped, wantFiles, wantSkipped)
		}
	})
}

// FuzzWithin checks that a path is never taken to be inside when it is not.
func FuzzWithin(f *testing.F) {
	for _, name := range []string{"", ".", "..", "a/../..", "/root/dir", "/root/dir/../x", "/root/directory", "a//b", "a\\..\\..", "..a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		inside, ok := within("/root/dir", name)
		if !ok {
			return
		}
		full := filepath.Join("/root/dir", inside)
		if full != "/root/dir" && !strings.HasPrefix(full, "/root/dir/") || filepath.IsAbs(inside) {
			t.Errorf("within(%q) = %q", name, inside)
		}
	})
}
