//go:build unix

package checksum

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// checkReports checks what holds for the progress of every task.
func checkReports(t *testing.T, reports []progress, files int, bytes int64) {
	t.Helper()
	if len(reports) < 2 || reports[0].Text != "Scanning" || reports[0].FilesFound == nil || reports[0].Value != 0 {
		t.Fatalf("reports are %+v, want Scanning first", reports)
	}
	highest := 0.0
	for _, r := range reports {
		if r.Value < highest || r.Value > 1 {
			t.Errorf("value goes from %v to %v: %+v", highest, r.Value, r)
		}
		highest = r.Value
		if r.Text == "Scanning" {
			continue
		}
		if r.FilesTotal != files || r.BytesTotal != bytes || r.BytesDone > bytes || r.FilesDone > files {
			t.Errorf("report %+v, want %d files and %d bytes in all", r, files, bytes)
		}
		if r.Current != "" && r.Text != "Hashing "+r.Current {
			t.Errorf("text %q for %q", r.Text, r.Current)
		}
		if bytes > 0 && r.Value != float64(r.BytesDone)/float64(bytes) {
			t.Errorf("value is %v for %d of %d bytes", r.Value, r.BytesDone, bytes)
		}
	}
	last := reports[len(reports)-1]
	if last.Value != 1 || last.FilesDone != files || last.BytesDone != bytes || !strings.HasPrefix(last.Text, "Hashed ") {
		t.Errorf("last report is %+v, want all done", last)
	}
}

func TestFewFilesHaveAReportEach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ files, reports int }{
		{0, 2}, {1, 3}, {200, 202}, {201, 2}, // time stands still in a bubble
	} {
		files := map[string]string{}
		var names []string
		for i := range c.files {
			names = append(names, fmt.Sprintf("f%03d", i))
			files[names[i]] = strings.Repeat("x", i)
		}
		dir := tree(t, files)
		synctest.Test(t, func(t *testing.T) {
			typ, err := New(Options{Roots: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			_, _, reports := runTask(t, typ, "{}")
			if len(reports) != c.reports {
				t.Errorf("%d files: %d reports, want %d", c.files, len(reports), c.reports)
			}
			checkReports(t, reports, c.files, int64(c.files*(c.files-1)/2))
			if c.files == 200 {
				var texts []string
				for _, r := range reports[1:201] {
					texts = append(texts, r.Current)
				}
				if !slices.Equal(texts, names) {
					t.Errorf("files reported are %q", texts)
				}
			}
		})
	}
}

func TestManyFilesAreReportedTenTimesASecond(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = "x"
	}
	dir := tree(t, files)
	typ := between(t, Options{Roots: []string{dir}}, func() {})
	inner := typ.Run
	synctest.Test(t, func(t *testing.T) {
		// Time passes only while all wait; so let each look at the time take some.
		typ.Run = func(ctx context.Context, run *task.Run) (any, error) {
			return inner(slowly{ctx, 10 * time.Millisecond}, run)
		}
		_, _, reports := runTask(t, typ, "{}")
		checkReports(t, reports, 1000, 1000)
		// 2000 looks of 10 ms are 20 s: 200 reports at most, and Scanning, and the end.
		if n := len(reports); n < 150 || n > 202 {
			t.Errorf("%d reports in 20 s, want about 200", n)
		}
		for i := 2; i < len(reports)-1; i++ {
			if gap := reports[i].Elapsed - reports[i-1].Elapsed; gap < 0.0999 {
				t.Errorf("reports %d and %d are %v s apart", i-1, i, gap)
			}
		}
	})
}

// slowly is a context that takes its time to say that it has not ended.
type slowly struct {
	context.Context
	pause time.Duration
}

func (s slowly) Err() error {
	time.Sleep(s.pause)
	return s.Context.Err()
}

func TestEndOfABigFileIsReported(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"big": "", "small": "x"})
	if err := os.Truncate(filepath.Join(dir, "big"), bigFile); err != nil { // a hole
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		typ, err := New(Options{Roots: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, reports := runTask(t, typ, "{}")
		checkReports(t, reports, 2, bigFile+1)
		var done []int64
		for _, r := range reports {
			done = append(done, r.BytesDone)
		}
		if want := []int64{0, 0, bigFile, bigFile, bigFile + 1}; !slices.Equal(done, want) {
			t.Errorf("bytes done are %d, want %d", done, want)
		}
	})
}
