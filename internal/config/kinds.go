package config

import (
	"os"
	"slices"
	"strings"
)

// The kinds of task that the program comes with.
const (
	DemoTask     = "demo_task"
	FailingTask  = "failing_task"
	ChecksumTask = "checksum"
)

var builtInKinds = []string{DemoTask, FailingTask, ChecksumTask}

// kinds is a list of kinds of task, several in one text with commas between them.
type kinds struct{ list }

func taskTypes(p *[]string) value {
	return kinds{list{p, "TYPE,...", orList(builtInKinds) + ", with commas between several, or nothing to turn all off", func(text string) (string, error) {
		if !slices.Contains(builtInKinds, text) {
			return "", errNotAllowed
		}
		return text, nil
	}}}
}

func (k kinds) Set(text string) error {
	var added []string
	for name := range strings.SplitSeq(text, ",") {
		if text == "" {
			continue
		}
		name, err := k.parse(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if !slices.Contains(*k.p, name) && !slices.Contains(added, name) {
			added = append(added, name)
		}
	}
	*k.p = append(*k.p, added...)
	return nil
}

// BuiltInTasks are the kinds of task that are on, of those that the program comes
// with. Without --task-types that depends on who can call: demos take workers for
// as long as whoever starts them likes, and checksums tell what is in files, so
// they are on where only this machine can reach the listener. The testing mode has
// the demos, and --checksum-root says that checksums are meant.
func (c *Config) BuiltInTasks() []string {
	on := c.TaskTypes
	if c.origins["task-types"] == "" {
		local := isLoopback(c.Listen)
		if local || c.Mode == Testing {
			on = append(on, DemoTask, FailingTask)
		}
		if local || c.origins["checksum-root"] != "" {
			on = append(on, ChecksumTask)
		}
	}
	return slices.DeleteFunc(slices.Clone(on), func(kind string) bool {
		return kind == ChecksumTask && c.noChecksums()
	})
}

// noChecksums: there is no directory to read. A server that was started in the
// machine's root directory, as in a container, does not read the whole machine
// because nobody said otherwise.
func (c *Config) noChecksums() bool {
	return len(c.ChecksumRoots) == 0 || c.origins["checksum-root"] == "" && slices.ContainsFunc(c.ChecksumRoots, isWholeMachine)
}

// isWholeMachine reports whether a path is the root directory, by whatever name.
func isWholeMachine(path string) bool {
	info, err := os.Stat(path)
	whole, errWhole := os.Stat("/")
	return err == nil && errWhole == nil && os.SameFile(info, whole)
}
