package config

import (
	"os"
	"slices"
	"strings"
)

// The built-in kinds of task.
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

// BuiltInTasks returns the built-in kinds of task that are on. Without --task-types that depends on who
// can call: a demo occupies a worker for as long as its caller likes, and a checksum reveals the content
// of files. So they are on where only this machine can reach the listener. The testing mode turns on the
// demos, and --checksum-root turns on checksums.
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

// noChecksums reports whether there is no directory for checksums. The default, the current directory,
// does not count if it is the root directory of the machine, as in a container.
func (c *Config) noChecksums() bool {
	return len(c.ChecksumRoots) == 0 || c.origins["checksum-root"] == "" && slices.ContainsFunc(c.ChecksumRoots, isWholeMachine)
}

// isWholeMachine reports whether a path is the root directory, under any name.
func isWholeMachine(path string) bool {
	info, err := os.Stat(path)
	whole, errWhole := os.Stat("/")
	return err == nil && errWhole == nil && os.SameFile(info, whole)
}
