//go:build unix

package checksum

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

// tree makes files; a name that ends with a slash is a directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// published keeps the data of progress events.
type published struct {
	mu       sync.Mutex
	progress []progress
}

type progress struct {
	Text       string
	Value      float64
	Current    string  `json:"current_file"`
	FilesDone  int     `json:"files_done"`
	FilesTotal int     `json:"files_total"`
	BytesDone  int64   `json:"bytes_done"`
	BytesTotal int64   `json:"bytes_total"`
	FilesFound *int    `json:"files_found"`
	Elapsed    float64 `json:"elapsed_seconds"`
}

func (p *published) Publish(_ context.Context, _ string, events []task.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range events {
		var data struct {
			EventType string `json:"event_type"`
			Data      progress
		}
		if json.Unmarshal(ev.Data, &data) == nil && data.EventType == "progress_update" {
			p.progress = append(p.progress, data.Data)
		}
	}
	return nil
}

// runTask runs one task of the type and returns how it ended. It must be called
// in a bubble.
func runTask(t *testing.T, typ task.Type, params string) (task.Info, Result, []progress) {
	t.Helper()
	out := &published{}
	svc, err := task.New(task.Options{Publisher: out})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Register(typ); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	info, err := svc.Start(t.Context(), typ.Name, json.RawMessage(params))
	if err != nil {
		t.Fatalf("Start(%s) = %v", params, err)
	}
	time.Sleep(time.Minute)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	info, _ = svc.Get(t.Context(), info.ID)
	var result Result
	if info.Status == task.Completed {
		if err := json.Unmarshal(info.Result, &result); err != nil {
			t.Fatal(err)
		}
	}
	return info, result, out.progress
}

// sums runs a task and returns what it hashed and skipped.
func sums(t *testing.T, opts Options, params string) (files, skipped []string) {
	t.Helper()
	typ, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	info, result, _ := runTask(t, typ, params)
	if info.Status != task.Completed {
		t.Fatalf("task is %s, error %v", info.Status, *info.Error)
	}
	for _, f := range result.Files {
		files = append(files, f.Path)
	}
	for _, s := range result.Skipped {
		skipped = append(skipped, s.Path+": "+s.Reason)
	}
	return files, skipped
}
