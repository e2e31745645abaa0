//go:build unix

package checksum

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// TestX05TheWholeMachineIsNoRoot, by whatever name, and neither is what has no
// files of its own.
func TestX05TheWholeMachineIsNoRoot(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "link")
	link(t, "/", whole)
	dirs := []string{"/", "//", "/.", "/../", whole}
	if runtime.GOOS == "linux" {
		dirs = append(dirs, "/proc", "/proc/self", "/sys", "/dev/pts")
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if _, err := New(Options{Roots: []string{t.TempDir(), dir}}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("New with root %s = %v, want an error that names it", dir, err)
		}
	}
}

// TestX05PseudoFileSystemsAreSkipped where they are mounted below a root.
func TestX05PseudoFileSystemsAreSkipped(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("by the numbers of Linux")
	}
	info, err := os.Stat("/")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newChecker(Options{Roots: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	c.roots = []root{{"/", info}} // New refuses it
	for params, want := range map[string]string{
		`{"path":"proc"}`:                  errPseudo.Error(),
		`{"path":"/proc/self"}`:            errPseudo.Error(),
		`{"path":"proc/kmsg"}`:             errPseudo.Error(),
		`{"path":"sys/kernel"}`:            errPseudo.Error(),
		`{"path":"dev/null"}`:              "neither a directory nor a regular file",
		`{"path":"dev/pts"}`:               errPseudo.Error(),
		`{"path":"proc/self/root/etc"}`:    errPseudo.Error(),
		`{"path":"proc/1/../self/../../"}`: "",
	} {
		if err := c.check(json.RawMessage(params)); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
	// And by a task that finds them on its way.
	place, err := c.find(params{})
	if err != nil {
		t.Fatal(err)
	}
	defer place.root.Close()
	j := &job{place: place, ctx: t.Context(), last: time.Now().Add(time.Hour)}
	if below, err := j.scanDir("proc"); len(below) > 0 || err != nil || len(j.skipped) != 1 || len(j.files) > 0 {
		t.Errorf("/proc: %d directories, %d files, %v, skipped %v", len(below), len(j.files), err, j.skipped)
	}
}

// TestX05ADirectoryThatIsExchangedIsNotRead: what comes in its place between
// finding and reading is a link to what is hidden, excluded or outside, a FIFO, or
// another directory.
func TestX05ADirectoryThatIsExchangedIsNotRead(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"f": "secret"})
	dir := tree(t, map[string]string{
		".hidden/f": "secret", "data/f": "secret", "a/f": "1", "b/f": "2", "c/deep/f": "3", "d/f": "4", "stays/f": "5",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	typ := between(t, Options{Roots: []string{dir}, Exclude: []string{in("data")}}, func() {
		for _, name := range []string{"a", "b", "c", "d"} {
			if err := os.RemoveAll(in(name)); err != nil {
				t.Error(err)
			}
		}
		link(t, ".hidden", in("a"))
		link(t, "data", in("b"))
		link(t, outside, in("c"))
		if err := syscall.Mkfifo(in("d"), 0o644); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, result, _ := runTask(t, typ, "{}")
		if len(result.Files) != 1 || result.Files[0].Path != "stays/f" {
			t.Errorf("files are %+v, want stays/f", result.Files)
		}
		want := []Skipped{{"a/f", "symbolic link"}, {"b/f", "symbolic link"}, {"c/deep/f", "symbolic link"}, {"d/f", "not a directory"}}
		if !slices.Equal(result.Skipped, want) {
			t.Errorf("skipped are %v, want %v", result.Skipped, want)
		}
	})
}

// TestX05ADirectoryThatIsExchangedAllTheTime is read as itself or not at all.
func TestX05ADirectoryThatIsExchangedAllTheTime(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"real/sub/f": "abc", ".hidden/sub/f": "secret", ".hidden/sub/g": "secret"})
	link(t, ".hidden", filepath.Join(dir, "link"))
	name, real, other := filepath.Join(dir, "real"), filepath.Join(dir, ".away"), filepath.Join(dir, "link")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(name, real)
			_ = os.Rename(other, name)
			_ = os.Rename(name, other)
			_ = os.Rename(real, name)
		}
	})
	defer wg.Wait()
	defer close(stop)
	typ, err := New(Options{Roots: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			_, result, _ := runTask(t, typ, "{}")
			for _, f := range result.Files {
				if f.SHA256 != sumABC {
					t.Errorf("%s is another's: %s", f.Path, f.SHA256)
				}
			}
		})
		if err := typ.Check(json.RawMessage(`{"path":"real/sub/g"}`)); err == nil {
			t.Fatal("a file of the hidden directory may be asked for")
		}
	}
}

// TestX05ARootThatIsExchangedIsNotRead.
func TestX05ARootThatIsExchangedIsNotRead(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"f": "secret"})
	dir := filepath.Join(tree(t, map[string]string{"root/f": "1"}), "root")
	typ, err := New(Options{Roots: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	for name, exchange := range map[string]func() error{
		"gone":    func() error { return nil },
		"a link":  func() error { return os.Symlink(outside, dir) },
		"another": func() error { return os.Mkdir(dir, 0o755) },
	} {
		if err := errors.Join(os.Rename(dir, dir+".old"), exchange()); err != nil {
			t.Fatal(err)
		}
		err := typ.Check(json.RawMessage("{}"))
		if err == nil || strings.Contains(err.Error(), filepath.Dir(dir)) {
			t.Errorf("%s: %v, want an error without the path", name, err)
		}
		_ = os.Remove(dir)
		if err := os.Rename(dir+".old", dir); err != nil {
			t.Fatal(err)
		}
		if err := typ.Check(json.RawMessage("{}")); err != nil {
			t.Errorf("back again: %v", err)
		}
	}
}

// TestX05NothingTellsWhereARootIs: no result, progress or error.
func TestX05NothingTellsWhereARootIs(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a/f": "1", "b": "2"})
	link(t, filepath.Join(dir, "b"), filepath.Join(dir, "link"))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	typ, err := New(Options{Roots: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for _, params := range []string{"{}", `{"path":"` + dir + `/a"}`} {
			_, result, reports := runTask(t, typ, params)
			for _, v := range []any{result, reports} {
				if text, err := json.Marshal(v); err != nil || strings.Contains(string(text), filepath.Dir(dir)) {
					t.Errorf("%s: %s, %v", params, text, err)
				}
			}
		}
	})
}

// TestX05DeepDirectoriesAreBounded.
func TestX05DeepDirectoriesAreBounded(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("d/", maxDepth)
	dir := tree(t, map[string]string{deep + "in": "1", deep + "d/out": "2"})
	synctest.Test(t, func(t *testing.T) {
		files, skipped := sums(t, Options{Roots: []string{dir}}, "{}")
		if len(files) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0], errDeep.Error()) {
			t.Errorf("files %q, skipped %q", files, skipped)
		}
	})
}

// TestX05ADiskThatDoesNotAnswer holds up no cancel, and only so many threads.
func TestX05ADiskThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c checker
		answer := make(chan struct{})
		hangs := func() (any, error) { <-answer; return "late", nil }
		for range maxStuck {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(task.ErrCancelled) })
			begun := time.Now()
			if _, err := c.apart(ctx, hangs); !errors.Is(err, task.ErrCancelled) || time.Since(begun) != time.Minute+stuckAfter {
				t.Errorf("after %v: %v", time.Since(begun), err)
			}
		}
		if _, err := c.apart(t.Context(), hangs); !errors.Is(err, errStuck) {
			t.Errorf("%v with %d calls left behind", err, maxStuck)
		}
		close(answer)
		synctest.Wait()
		if got, err := c.apart(t.Context(), hangs); got != "late" || err != nil {
			t.Errorf("when the disk answers again: %v, %v", got, err)
		}
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("a panic was lost")
				}
			}()
			_, _ = c.apart(t.Context(), func() (any, error) { panic("boom") })
		}()
	})
}
