//go:build unix

package checksum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/task"
)

// between makes a type that does something between finding the files and hashing them.
func between(t *testing.T, opts Options, meanwhile func()) task.Type {
	t.Helper()
	c, err := newChecker(opts)
	if err != nil {
		t.Fatal(err)
	}
	return task.Type{Name: "between", Run: func(ctx context.Context, run *task.Run) (any, error) {
		place, err := c.find(params{})
		if err != nil {
			return nil, err
		}
		defer place.root.Close()
		j := &job{place: place, ctx: ctx, run: run, begun: time.Now()}
		defer j.leave()
		if err := j.scan(); err != nil {
			return nil, err
		}
		meanwhile()
		if err := j.hashAll(); err != nil {
			return nil, err
		}
		return j.result(), nil
	}}
}

func TestFilesThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"secret": "s"})
	dir := tree(t, map[string]string{
		"changed": "before", "deleted": "x", "fifo": "x", "grows": "x", "link": "x", "shrinks": strings.Repeat("x", 1000), "z": "last",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	typ := between(t, Options{Roots: []string{dir}}, func() {
		for _, err := range []error{
			os.WriteFile(in("changed"), []byte("abc"), 0o644),
			os.Remove(in("deleted")),
			os.Remove(in("fifo")), syscall.Mkfifo(in("fifo"), 0o644),
			os.WriteFile(in("grows"), []byte(strings.Repeat("a", 1_000_000)), 0o644),
			os.Remove(in("link")), os.Symlink(filepath.Join(outside, "secret"), in("link")),
			os.WriteFile(in("shrinks"), nil, 0o644),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	inner := typ.Run
	typ.Run = func(ctx context.Context, run *task.Run) (any, error) { return inner(slowly{ctx, time.Second}, run) }
	synctest.Test(t, func(t *testing.T) {
		_, result, reports := runTask(t, typ, "{}")
		result.ElapsedSeconds = 0
		want := []File{
			{"changed", 3, sumABC},
			{"grows", 1_000_000, sumAx1M},
			{"shrinks", 0, sumEmpty},
			{"z", 4, result.Files[len(result.Files)-1].SHA256},
		}
		if diff := cmp.Diff(want, result.Files); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		wantSkipped := []Skipped{
			{"deleted", "no such file or directory"},
			{"fifo", "replaced by something that is not a regular file"},
			{"link", "replaced by something that is not a regular file"},
		}
		if diff := cmp.Diff(wantSkipped, result.Skipped); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
		if result.TotalBytes != 1_000_007 {
			t.Errorf("TotalBytes is %d, want what was hashed, 1000007", result.TotalBytes)
		}
		checkReports(t, reports, 7, 6+1+1+1+1+1000+4)
	})
}

func TestBoundsFailTheTaskAndSaySo(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "12345", "b": "12345", "c": "12345", "d/e": ""})
	many := map[string]string{"x": ""}
	for i := range 11 {
		many[fmt.Sprintf(".%d", i)] = ""
	}
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{Roots: []string{dir}, MaxFiles: 4, MaxBytes: 15}, ""},
		{Options{Roots: []string{dir}, MaxFiles: 3}, "more than 3 files under .: choose a smaller directory"},
		{Options{Roots: []string{dir}, MaxBytes: 14}, "more than 14 bytes under .: choose a smaller directory"},
		{Options{Roots: []string{tree(t, many)}, MaxFiles: 1}, "more than 10 names under .: choose a smaller directory"},
	} {
		synctest.Test(t, func(t *testing.T) {
			typ, err := New(c.opts)
			if err != nil {
				t.Fatal(err)
			}
			info, _, _ := runTask(t, typ, "{}")
			got := ""
			if info.Error != nil {
				got = *info.Error
			}
			if got != c.want {
				t.Errorf("%+v: task is %s, error %q, want %q", c.opts, info.Status, got, c.want)
			}
		})
	}
}

func TestAFileThatGrowsWithoutEndFailsTheTask(t *testing.T) {
	t.Parallel()
	j := &job{place: &place{checker: &checker{Options: Options{MaxBytes: 10 * chunk}}, path: "."}, ctx: t.Context(), last: time.Now().Add(time.Hour)}
	n, err := j.copy(0, file{"log", 100}, discard{}, endless{}, make([]byte, chunk))
	if err == nil || !strings.Contains(err.Error(), "more than") || n > 11*chunk {
		t.Errorf("copy() = %d, %v", n, err)
	}
}

func TestCancelIsSeenInsideABigFile(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	j := &job{place: &place{checker: &checker{Options: Options{MaxBytes: 1 << 40}}}, ctx: ctx, last: time.Now().Add(time.Hour)}
	n, err := j.copy(0, file{"big", 1 << 40}, discard{}, &cancelsAfter{reads: 3, cancel: func() { cancel(task.ErrCancelled) }}, make([]byte, chunk))
	if !errors.Is(err, task.ErrCancelled) || n != 3*chunk {
		t.Errorf("copy() = %d, %v; want to stop after %d", n, err, 3*chunk)
	}
}

func TestReadErrorSkipsTheFile(t *testing.T) {
	t.Parallel()
	j := &job{place: &place{checker: &checker{Options: Options{MaxBytes: 100}}}, ctx: t.Context(), last: time.Now().Add(time.Hour)}
	_, err := j.copy(0, file{"bad", 10}, discard{}, io.MultiReader(bytes.NewReader([]byte("x")), broken{}), make([]byte, chunk))
	if reason, ok := errors.AsType[readError](err); !ok || !errors.Is(reason.error, syscall.EIO) {
		t.Errorf("copy() = %v, want a read error", err)
	}
}

// endless has always more.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// cancelsAfter cancels after some reads.
type cancelsAfter struct {
	reads  int
	cancel func()
}

func (c *cancelsAfter) Read(b []byte) (int, error) {
	if c.reads--; c.reads == 0 {
		c.cancel()
	}
	return len(b), nil
}

// broken fails like a bad disk.
type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, &os.PathError{Op: "read", Path: "/somewhere", Err: syscall.EIO}
}

// discard is a hash of nothing.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Sum(b []byte) []byte         { return b }
func (discard) Reset()                      {}
func (discard) Size() int                   { return 0 }
func (discard) BlockSize() int              { return 1 }

func TestSkippedListIsBounded(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "1"})
	for i := range maxSkipped + 5 {
		link(t, "a", filepath.Join(dir, fmt.Sprintf("l%d", i)))
	}
	synctest.Test(t, func(t *testing.T) {
		typ, err := New(Options{Roots: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		_, result, _ := runTask(t, typ, "{}")
		if len(result.Skipped) != maxSkipped || result.TotalSkipped != maxSkipped+5 || result.TotalFiles != 1 {
			t.Errorf("%d of %d skipped are listed, want %d of %d", len(result.Skipped), result.TotalSkipped, maxSkipped, maxSkipped+5)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"file": ""})
	for _, opts := range []Options{
		{},
		{Roots: []string{filepath.Join(dir, "missing")}},
		{Roots: []string{filepath.Join(dir, "file")}},
		{Roots: []string{dir}, MaxFiles: -1},
		{Roots: []string{dir}, MaxBytes: -1},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("New(%+v) = nil, want an error", opts)
		}
	}
	typ, err := New(Options{Roots: []string{dir}, Timeout: time.Hour})
	if err != nil || typ.Name != "checksum" || typ.Timeout != time.Hour {
		t.Errorf("New() = %+v, %v", typ, err)
	}
}
