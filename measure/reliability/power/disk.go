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

// disk holds a server's data and can lose power.
type disk interface {
	// folder returns the mount point.
	folder() string
	// mount mounts the disk for the first time.
	mount(ctx context.Context) error
	// cut removes the power: nothing more reaches the disk. Open files return errors
	// from now on.
	cut() error
	// restart mounts what the disk has kept. The caller calls it after cut, when no
	// process uses the disk.
	restart(ctx context.Context) error
	// close unmounts the disk.
	close(ctx context.Context) error
}

// imageDisk is an ext4 file system in a file. Its mount point lies below a shared mount:
// a process that creates a mount namespace, such as `ip netns exec`, copies the mount,
// and a private copy would keep the file system mounted after our unmount.
type imageDisk struct {
	shared, dir, file string
	mounts            []string // to unmount, the last one first
}

// newImageDisk creates an empty file system. It needs root and mkfs.ext4. The caller
// must call close, also after an error.
func newImageDisk(ctx context.Context, dir string, mib int64) (*imageDisk, error) {
	shared := filepath.Join(dir, "mount")
	d := &imageDisk{shared: shared, dir: filepath.Join(shared, "disk"), file: filepath.Join(dir, "disk.img")}
	if os.Geteuid() != 0 {
		return d, errors.New("mounting a disk needs root: run as root, or use --copy")
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

func (d *imageDisk) folder() string { return d.dir }

func (d *imageDisk) mount(ctx context.Context) error {
	if err := system(ctx, "mount", "-t", "ext4", "-o", "loop", d.file, d.dir); err != nil {
		return err
	}
	d.mounts = append(d.mounts, d.dir)
	return nil
}

// restart takes the file system away and mounts it again.
func (d *imageDisk) restart(ctx context.Context) error {
	if err := d.unmount(ctx); err != nil {
		return err
	}
	return d.mount(ctx)
}

func (d *imageDisk) unmount(ctx context.Context) error {
	last := len(d.mounts) - 1
	if err := system(ctx, "umount", d.mounts[last]); err != nil {
		return err
	}
	d.mounts = d.mounts[:last]
	return nil
}

func (d *imageDisk) close(ctx context.Context) error {
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

// cut shuts the file system down without writing anything back.
func (d *imageDisk) cut() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	err = unix.IoctlSetPointerInt(int(dir.Fd()), ext4Shutdown, noLogFlush)
	return errors.Join(err, dir.Close())
}

// system runs a system program.
func system(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s; without loop devices and ext4, use --copy", name, err, out)
	}
	return nil
}

// snapshotDisk is a folder that returns to its content from shortly before the loss of
// power. That content is one consistent state. So it does not test what is synced, only
// how clients fare when the newest events are lost.
type snapshotDisk struct{ dir, kept string }

func newSnapshotDisk(dir string) *snapshotDisk {
	return &snapshotDisk{dir: filepath.Join(dir, "disk"), kept: filepath.Join(dir, "kept")}
}

func (d *snapshotDisk) folder() string              { return d.dir }
func (d *snapshotDisk) mount(context.Context) error { return os.MkdirAll(d.dir, 0o755) }
func (d *snapshotDisk) close(context.Context) error { return nil }

// cut does nothing: restart replaces the folder.
func (d *snapshotDisk) cut() error { return nil }

// keep takes the snapshot. The server must be suspended.
func (d *snapshotDisk) keep() error {
	if err := os.RemoveAll(d.kept); err != nil {
		return err
	}
	return os.CopyFS(d.kept, os.DirFS(d.dir))
}

func (d *snapshotDisk) restart(context.Context) error {
	if _, err := os.Stat(d.kept); errors.Is(err, fs.ErrNotExist) {
		return errors.New("no snapshot was taken of the disk")
	}
	return errors.Join(os.RemoveAll(d.dir), os.Rename(d.kept, d.dir))
}
