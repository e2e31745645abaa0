package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is where a server has its data, and what can lose its power.
type disk interface {
	// folder is where it is mounted.
	folder() string
	// mount makes it usable for the first time.
	mount(ctx context.Context) error
	// cut takes the power away: what has not reached the disk does not any more.
	// Whoever has files open there gets errors from now on.
	cut() error
	// restart comes after cut, when nobody uses it, and makes usable what it has kept.
	restart(ctx context.Context) error
	close(ctx context.Context) error
}

// image is an ext4 file system in a file, mounted below a mount that is shared:
// whoever makes a mount namespace while it is mounted, as `ip netns exec` does, has a
// copy of the mount, which would keep the file system alive when ours is taken away.
type image struct {
	shared, dir, file string
	mounts            []string // what has to be unmounted, the last first
}

// newImage makes an empty file system. It takes root and the programs of ext4.
// It has to be closed, also after an error.
func newImage(ctx context.Context, dir string, mib int64) (*image, error) {
	shared := filepath.Join(dir, "mount")
	d := &image{shared: shared, dir: filepath.Join(shared, "disk"), file: filepath.Join(dir, "disk.img")}
	if os.Geteuid() != 0 {
		return d, errors.New("a disk of its own takes root, for mount: run it as root, or with --copy")
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return d, err
	}
	file, err := os.Create(d.file)
	if err != nil {
		return d, err
	}
	if err := errors.Join(file.Truncate(mib<<20), file.Close()); err != nil {
		return d, err
	}
	if err := system(ctx, "mkfs.ext4", "-q", "-F", d.file); err != nil {
		return d, err
	}
	if err := system(ctx, "mount", "--bind", shared, shared); err != nil {
		return d, err
	}
	d.mounts = append(d.mounts, shared)
	return d, system(ctx, "mount", "--make-shared", shared)
}

func (d *image) folder() string { return d.dir }

func (d *image) mount(ctx context.Context) error {
	if err := system(ctx, "mount", "-t", "ext4", "-o", "loop", d.file, d.dir); err != nil {
		return err
	}
	d.mounts = append(d.mounts, d.dir)
	return nil
}

// restart takes the file system away and mounts it anew.
func (d *image) restart(ctx context.Context) error {
	if err := d.unmount(ctx); err != nil {
		return err
	}
	return d.mount(ctx)
}

func (d *image) unmount(ctx context.Context) error {
	last := len(d.mounts) - 1
	if err := system(ctx, "umount", d.mounts[last]); err != nil {
		return err
	}
	d.mounts = d.mounts[:last]
	return nil
}

func (d *image) close(ctx context.Context) error {
	for len(d.mounts) > 0 {
		if err := d.unmount(ctx); err != nil {
			return err
		}
	}
	return nil
}

const (
	ext4Shutdown = 0x8004587d // EXT4_IOC_SHUTDOWN
	noLogFlush   = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written
)

func (d *image) cut() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(dir.Fd()), ext4Shutdown, noLogFlush)
	return errors.Join(err, dir.Close())
}

// system runs a program of the system.
func system(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s; without loop devices and ext4, take --copy", name, err, out)
	}
	return nil
}

// copied is a folder that goes back to what it was a moment before the power was
// lost. Everything in it is one state that was there, so it cannot tell whether
// enough was synced; it tells what becomes of clients when the end is missing.
type copied struct{ dir, kept string }

func newCopied(dir string) *copied {
	return &copied{dir: filepath.Join(dir, "disk"), kept: filepath.Join(dir, "kept")}
}

func (d *copied) folder() string              { return d.dir }
func (d *copied) mount(context.Context) error { return os.MkdirAll(d.dir, 0o755) }
func (d *copied) close(context.Context) error { return nil }

// cut does nothing: the folder goes back when nobody uses it any more.
func (d *copied) cut() error { return nil }

// keep notes what the disk will have kept. Nobody may write meanwhile.
func (d *copied) keep() error {
	if err := os.RemoveAll(d.kept); err != nil {
		return err
	}
	return os.CopyFS(d.kept, os.DirFS(d.dir))
}

func (d *copied) restart(context.Context) error {
	if _, err := os.Stat(d.kept); errors.Is(err, fs.ErrNotExist) {
		return errors.New("nothing was kept of the disk")
	}
	return errors.Join(os.RemoveAll(d.dir), os.Rename(d.kept, d.dir))
}
