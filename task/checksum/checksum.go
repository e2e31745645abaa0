// Package checksum is a type of task, "checksum": the SHA-256 of every file under
// a directory, for programs that let their users ask for it. What may be read is
// decided by [Options]: a task can name a directory inside one of the roots and
// nothing else. Every directory and file is opened by its name in the directory
// that was opened before it ([os.Root]), and is looked at again once it is open:
// symbolic links are not followed, also where one takes the place of a directory
// meanwhile. Only regular files are read, and none of /proc, /sys and the like.
//
// No result, progress or error shows where on the machine a root is. A task whose
// disk does not answer ends when it is cancelled all the same.
//
// The parameters of a task are a JSON object with two optional keys: path, a
// directory or a file, relative to a root or absolute inside one (default: the
// first root), and hidden, true to include names that begin with a dot, where
// [Options.AllowHidden] allows it. The result is a [Result].
package checksum

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"tidegate/task"
)

// Name is the name of the type.
const Name = "checksum"

// Options say what may be read, and how much.
type Options struct {
	// Roots are the directories that tasks may read. They must exist; at least one.
	// The root directory of the machine is refused, and so are file systems such as
	// /proc. A root that is replaced by another directory is not read any more.
	Roots []string

	// Exclude are files and directories that are left out wherever they are met,
	// with all below them; they need not exist.
	Exclude []string

	// AllowHidden lets tasks ask for names that begin with a dot.
	AllowHidden bool

	MaxFiles int           // in one task; default 100000, beyond it the task fails
	MaxBytes int64         // in one task; default 100 GiB, beyond it the task fails
	Timeout  time.Duration // of one task; default task.Options.Timeout
}

// Result is what a task returns. Paths are relative to Root, with slashes.
type Result struct {
	Root           string    `json:"root"`    // its name, without the directories that it is in
	Path           string    `json:"path"`    // what was asked for
	Files          []File    `json:"files"`   // sorted by Path
	Skipped        []Skipped `json:"skipped"` // sorted by Path; the first 1000
	TotalFiles     int       `json:"total_files"`
	TotalBytes     int64     `json:"total_bytes"`   // as hashed
	TotalSkipped   int       `json:"total_skipped"` // not counting what is hidden or excluded
	ElapsedSeconds float64   `json:"elapsed_seconds"`
}

// File is a file that was hashed.
type File struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Skipped is a name that was not hashed.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// params are what a task is asked to do.
type params struct {
	Path   string `json:"path"`
	Hidden bool   `json:"hidden"`
}

// checker is the type at work.
type checker struct {
	// Set once.
	Options
	roots    []root
	excluded []string // absolute

	stuck atomic.Int32 // calls that were left behind
}

// New makes the type, to be registered with a [task.Service].
func New(opts Options) (task.Type, error) {
	c, err := newChecker(opts)
	if err != nil {
		return task.Type{}, fmt.Errorf("checksum: %w", err)
	}
	return task.Type{Name: Name, Run: c.runOnce, Check: c.check, Timeout: opts.Timeout, MaxAttempts: maxAttempts}, nil
}

// maxAttempts is how often a task may be begun whose process died. Reading files
// once more does no harm.
const maxAttempts = 3

// runOnce is run, whose errors would be the same another time.
func (c *checker) runOnce(ctx context.Context, run *task.Run) (any, error) {
	result, err := c.apart(ctx, func() (any, error) { return c.run(ctx, run) })
	return result, task.Permanent(err)
}

func newChecker(opts Options) (*checker, error) {
	c := &checker{Options: opts}
	c.MaxFiles = cmp.Or(c.MaxFiles, 100_000)
	c.MaxBytes = cmp.Or(c.MaxBytes, 100<<30)
	if c.MaxFiles < 0 || c.MaxBytes < 0 {
		return nil, errors.New("MaxFiles and MaxBytes must not be negative")
	}
	if len(opts.Roots) == 0 {
		return nil, errors.New("no roots: name at least one directory that tasks may read")
	}
	for _, dir := range opts.Roots {
		r, err := newRoot(dir)
		if err != nil {
			return nil, fmt.Errorf("root %q: %w", dir, err)
		}
		c.roots = append(c.roots, r)
	}
	for _, path := range opts.Exclude {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("exclude %q: %w", path, err)
		}
		c.excluded = append(c.excluded, abs)
	}
	return c, nil
}

// checkPatience is how long the disk may take to answer whether a path exists.
const checkPatience = 5 * time.Second

// check judges the parameters of a task before it is accepted.
func (c *checker) check(raw json.RawMessage) error {
	p, err := c.parse(raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), checkPatience, errStuck)
	defer cancel()
	_, err = c.apart(ctx, func() (any, error) {
		place, err := c.find(p)
		if err != nil {
			return nil, err
		}
		return nil, place.root.Close()
	})
	return err
}

func (c *checker) parse(raw json.RawMessage) (params, error) {
	var p params
	if err := task.DecodeParams(raw, &p); err != nil {
		return p, err
	}
	if p.Hidden && !c.AllowHidden {
		return p, errors.New("hidden is true, but hidden files may not be read here")
	}
	return p, nil
}

// run is the function of a task.
func (c *checker) run(ctx context.Context, run *task.Run) (any, error) {
	p, err := c.parse(run.Params())
	if err != nil {
		return nil, err
	}
	place, err := c.find(p)
	if err != nil {
		return nil, err
	}
	defer place.root.Close()

	j := &job{place: place, ctx: ctx, run: run, begun: time.Now()}
	defer j.leave()
	if err := j.scan(); err != nil {
		return nil, err
	}
	if err := j.hashAll(); err != nil {
		return nil, err
	}
	return j.result(), nil
}
