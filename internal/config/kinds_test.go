package config_test

import (
	"slices"
	"strings"
	"testing"
)

// TestX06BuiltInTasks are on where only this machine can reach them.
func TestX06BuiltInTasks(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, tt := range []struct{ args, want string }{
		{"--listen=127.0.0.1:0", "demo_task failing_task checksum"},
		{"--listen=[::1]:0", "demo_task failing_task checksum"},
		{"--listen=localhost:0", "demo_task failing_task checksum"},
		{"--listen=:0", ""},
		{"--listen=0.0.0.0:0", ""},
		{"--listen=192.0.2.1:0", ""},
		{"--listen=example.org:0", ""},
		{"--listen=:0 --mode=testing", "demo_task failing_task"},
		{"--listen=:0 --checksum-root=" + dir, "checksum"},
		{"--listen=:0 --task-types=checksum", "checksum"},
		{"--listen=:0 --task-types=failing_task,demo_task", "failing_task demo_task"},
		{"--listen=:0 --task-types=demo_task --task-types=demo_task,checksum", "demo_task checksum"},
		{"--listen=127.0.0.1:0 --task-types=", ""},
		{"--listen=127.0.0.1:0 --task-types= --mode=testing --checksum-root=" + dir, ""},
		{"--listen=127.0.0.1:0 --checksum-root=", "demo_task failing_task"},
		{"--listen=127.0.0.1:0 --task-types=checksum --checksum-root=", ""},
	} {
		c := mustLoad(t, "config", tt.args, "")
		if got := strings.Join(c.BuiltInTasks(), " "); got != tt.want {
			t.Errorf("%s: %q are on, want %q", tt.args, got, tt.want)
		}
	}
}

// TestX05AServerStartedInTheRootDirectoryReadsNothing unless a setting says so.
func TestX05AServerStartedInTheRootDirectoryReadsNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir("/")
	for args, want := range map[string]bool{"": false, " --task-types=checksum": false, " --checksum-root=" + dir: true} {
		c := mustLoad(t, "config", "--listen=127.0.0.1:0"+args, "")
		if got := slices.Contains(c.BuiltInTasks(), "checksum"); got != want {
			t.Errorf("in / with %q checksums are on: %v, want %v", args, got, want)
		}
	}
}
